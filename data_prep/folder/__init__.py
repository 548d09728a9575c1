"""TODO data_prep.folder."""

from data_prep.folder.prepare import default_packed_dir, ensure_folder, prepare_folder

__all__ = [
    "default_packed_dir",
    "ensure_folder",
    "prepare_folder",
]
