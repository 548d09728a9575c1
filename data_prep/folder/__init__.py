"""A user's own images, in a folder of class folders.

May import: `preparation`, `packed`, `images`, `io`, `errors`.
"""

from data_prep.folder.prepare import default_packed_dir, ensure_folder, prepare_folder

__all__ = [
    "default_packed_dir",
    "ensure_folder",
    "prepare_folder",
]
