"""Converts Keras models to MT-nets and back: `to_mtnet`, `fold` and the graph rebuilding.

May import: `layers`, `_keras`.
"""

from mtnet_tf.conversion.convert import to_mtnet
from mtnet_tf.conversion.copying import copy_vocabularies, new_layer, own_attributes
from mtnet_tf.conversion.fold import fold
from mtnet_tf.conversion.rebuilding import (
    Replacement,
    check_rebuildable,
    copy_of,
    finalize_statistics,
    is_rebuildable,
    rebuild,
)

__all__ = [
    "Replacement",
    "check_rebuildable",
    "copy_of",
    "copy_vocabularies",
    "finalize_statistics",
    "fold",
    "is_rebuildable",
    "new_layer",
    "own_attributes",
    "rebuild",
    "to_mtnet",
]
