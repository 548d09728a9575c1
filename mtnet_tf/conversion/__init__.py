"""Converts Keras models to MT-nets and back: `to_mtnet`, `fold` and the graph rebuilding.

May import: `layers`, `_keras`.
"""

from mtnet_tf.conversion.convert import to_mtnet
from mtnet_tf.conversion.fold import fold
from mtnet_tf.conversion.rebuilding import (
    Replacement,
    check_rebuildable,
    finalize_statistics,
    new_layer,
    rebuild,
)

__all__ = [
    "Replacement",
    "check_rebuildable",
    "finalize_statistics",
    "fold",
    "new_layer",
    "rebuild",
    "to_mtnet",
]
