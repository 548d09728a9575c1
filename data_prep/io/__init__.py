"""Archives, folders, text files, atomic writing, locks, downloads, threads, progress, allocator.

May import: `errors`.
"""

from data_prep.errors import printable, user_path, user_paths
from data_prep.io.allocator import keep_freed_memory
from data_prep.io.archives import open_source
from data_prep.io.atomic import (
    building,
    is_vacant,
    recover,
    replacing,
    resuming,
    was_interrupted,
)
from data_prep.io.download import DownloadError, download
from data_prep.io.locks import InUseError, exclusive
from data_prep.io.output import make_output_readable
from data_prep.io.parallel import in_parallel, validate_workers
from data_prep.io.process_folder import process_folder
from data_prep.io.progress import bar
from data_prep.io.sources import FolderSource, ImageSource, is_visible
from data_prep.io.startup import quiet_start
from data_prep.io.text_files import read_json, write_csv, write_json, write_text

__all__ = [
    "DownloadError",
    "FolderSource",
    "ImageSource",
    "InUseError",
    "bar",
    "building",
    "download",
    "exclusive",
    "in_parallel",
    "is_vacant",
    "is_visible",
    "keep_freed_memory",
    "make_output_readable",
    "open_source",
    "printable",
    "process_folder",
    "quiet_start",
    "read_json",
    "recover",
    "replacing",
    "resuming",
    "user_path",
    "user_paths",
    "validate_workers",
    "was_interrupted",
    "write_csv",
    "write_json",
    "write_text",
]
