"""TODO mtnet_tf.diagnostics."""

from mtnet_tf.diagnostics.analysis import active_fraction
from mtnet_tf.diagnostics.audit import Audit, audit
from mtnet_tf.diagnostics.stock_layers import refuse_stock_normalization

__all__ = [
    "Audit",
    "active_fraction",
    "audit",
    "refuse_stock_normalization",
]
