"""Downloads of one file, complete and verified or not at all."""

import contextlib
from pathlib import Path
from typing import Any

import pooch
import requests

from data_prep.errors import DataError
from data_prep.io.progress import bar

# Short, so that a machine without network answers within seconds.
TIMEOUT_SECONDS = 10


class DownloadError(Exception):
    """The file could not be fetched: no network, or no such file."""


def download(url: str, target: Path, md5: str, *, progress: bool) -> None:
    """Downloads `url` to `target`, which is written only after the checksum was verified.

    Args:
        url: address of the file.
        target: final file; its folder is created if necessary.
        md5: the checksum that the publisher states.
        progress: whether to show a progress bar in a terminal.

    Raises:
        DownloadError: if the network or the server failed.
        DataError: if the file has another checksum.
    """
    pooch.get_logger().setLevel("WARNING")  # it would log every download
    name = f"Downloading {url.rsplit('/', 1)[-1]}"
    with contextlib.closing(bar(None, name, 0, "B", progress=progress)) as progress_bar:
        fetch: Any = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS)
        fetch.progressbar = progress_bar  # any object with the methods of tqdm
        try:
            pooch.retrieve(url, f"md5:{md5}", target.name, target.parent, downloader=fetch)
        except requests.RequestException as error:
            raise DownloadError(str(error)) from error
        except ValueError as error:
            raise DataError(
                f"The download of {url} must have MD5 {md5}. Received: a file with another "
                f"checksum. Try again, or put the file at `{target}` yourself."
            ) from error
