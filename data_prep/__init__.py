"""Turns published picture archives into one array file that trains fast.

Every data set goes the same way: archive or folder -> the folder layout of the
original MAML code -> one packed array (see `packed`). NumPy and Pillow only;
nothing here imports TensorFlow or another package of this project.

    from data_prep import load_packed, prepare_omniglot

    pictures = load_packed(prepare_omniglot("data"))
    pictures.images.shape  # (32460, 28, 28, 1)
"""

from data_prep.errors import DataError
from data_prep.miniimagenet import (
    ensure_miniimagenet,
    prepare_miniimagenet,
    prepare_synthetic_miniimagenet,
)
from data_prep.omniglot import ensure_omniglot, prepare_omniglot, prepare_synthetic_omniglot
from data_prep.packed import PackedImages, load_packed
from data_prep.packing import write_packed
from data_prep.pictures import load_picture

__all__ = [
    "DataError",
    "PackedImages",
    "ensure_miniimagenet",
    "ensure_omniglot",
    "load_packed",
    "load_picture",
    "prepare_miniimagenet",
    "prepare_omniglot",
    "prepare_synthetic_miniimagenet",
    "prepare_synthetic_omniglot",
    "write_packed",
]
