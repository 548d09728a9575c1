"""Checks the derivatives of a model and measures what it has learned.

Contains `audit` (the derivative check) with its numerical derivatives, the check for stock layers
with wrong second derivatives, and measures of the learned masks.

May import: `conversion`, `meta`, `tasks`, `layers`, `_keras`.
"""

from mtnet_tf.diagnostics.analysis import active_fraction
from mtnet_tf.diagnostics.audit import Audit, audit
from mtnet_tf.diagnostics.stock_layers import check_stock_layers

__all__ = [
    "Audit",
    "active_fraction",
    "audit",
    "check_stock_layers",
]
