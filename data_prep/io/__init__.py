"""Reading images from archives and folders; atomic writing, downloads, threads, progress bars.

May import: `errors`.
"""

from data_prep.io.archives import open_source
from data_prep.io.atomic import (
    building,
    exclusive,
    is_vacant,
    recover,
    replacing,
    resuming,
    was_interrupted,
)
from data_prep.io.download import DownloadError, download
from data_prep.io.parallel import in_parallel, validate_workers
from data_prep.io.progress import bar
from data_prep.io.sources import FolderSource, ImageSource

__all__ = [
    "DownloadError",
    "FolderSource",
    "ImageSource",
    "bar",
    "building",
    "validate_workers",
    "download",
    "exclusive",
    "in_parallel",
    "is_vacant",
    "open_source",
    "recover",
    "replacing",
    "resuming",
    "was_interrupted",
]
