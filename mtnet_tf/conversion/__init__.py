"""TODO mtnet_tf.conversion."""

from mtnet_tf.conversion.convert import to_mtnet
from mtnet_tf.conversion.fold import fold
from mtnet_tf.conversion.rebuilding import (
    Replacement,
    finalize_statistics,
    new_layer,
    rebuild,
    refuse_unknown_structure,
)

__all__ = [
    "Replacement",
    "finalize_statistics",
    "fold",
    "new_layer",
    "rebuild",
    "refuse_unknown_structure",
    "to_mtnet",
]
