"""Turns published image archives into one array file that trains fast.

Omniglot and MiniImagenet go the same way: archive or folder -> the folder layout of
the original MAML code -> packed arrays (see `packed`). A user's own folder is packed
directly. NumPy and Pillow only; nothing here imports TensorFlow or another package of
this project.

    from data_prep import load_packed, prepare_omniglot

    images = load_packed(prepare_omniglot("data"))
    pictures.images.shape  # (32460, 28, 28, 1)
"""

from data_prep.errors import DataError
from data_prep.folder import default_packed_dir, ensure_folder, prepare_folder
from data_prep.images import load_picture
from data_prep.miniimagenet import (
    ensure_miniimagenet,
    prepare_miniimagenet,
    prepare_synthetic_miniimagenet,
)
from data_prep.omniglot import ensure_omniglot, prepare_omniglot, prepare_synthetic_omniglot
from data_prep.packed import Overlap, PackedImages, find_overlap, load_packed, write_packed

__all__ = [
    "DataError",
    "Overlap",
    "PackedImages",
    "default_packed_dir",
    "ensure_folder",
    "ensure_miniimagenet",
    "ensure_omniglot",
    "find_overlap",
    "load_packed",
    "load_picture",
    "prepare_folder",
    "prepare_miniimagenet",
    "prepare_omniglot",
    "prepare_synthetic_miniimagenet",
    "prepare_synthetic_omniglot",
    "write_packed",
]
