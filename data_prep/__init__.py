"""Prepares image data sets for few-shot learning: one array file that loads fast.

Omniglot and MiniImagenet are prepared in two steps: from archives or folders to the folder layout
of the original MAML code, and from there to packed arrays (`load_packed`). A user's own folder is
packed directly. `python -m data_prep` does the same on the command line.

The package requires NumPy and Pillow and a few small libraries. May import: its own subpackages;
neither TensorFlow nor another package of this project.

>>> from data_prep import load_packed, prepare_synthetic_omniglot
>>> packed = load_packed(prepare_synthetic_omniglot("data", num_classes=5, progress=False))
>>> packed.images.shape
(100, 28, 28, 1)
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
