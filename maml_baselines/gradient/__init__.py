"""Methods that adapt by gradients. The public names are modules, one per method.

May import: `mtnet_tf`.
"""

from maml_baselines.gradient import (
    llama,
    maml_plus_plus,
    meta_curvature,
    meta_lstm,
    meta_sgd,
    other_cells,
    reptile,
)

__all__ = [
    "llama",
    "maml_plus_plus",
    "meta_curvature",
    "meta_lstm",
    "meta_sgd",
    "other_cells",
    "reptile",
]
