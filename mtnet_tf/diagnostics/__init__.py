"""Is a model differentiated correctly, and what has it learned? `audit` and analysis.

Contains the derivative check, numerical derivatives, the stock layers whose second derivatives are
wrong, and measures of the learned masks.

May import: `conversion`, `meta`, `tasks`, `layers`, `seeds`, `_keras`.
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
