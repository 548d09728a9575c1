"""Reading sources and writing files: archives, downloads, atomic folders, parallel work.

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
from data_prep.io.parallel import checked_workers, in_parallel
from data_prep.io.progress import bar
from data_prep.io.sources import FolderSource, PictureSource

__all__ = [
    "DownloadError",
    "FolderSource",
    "PictureSource",
    "bar",
    "building",
    "checked_workers",
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
