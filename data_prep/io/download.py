"""Downloads of one file, complete and verified or not at all."""

from pathlib import Path
from typing import Any

import pooch
import requests

from data_prep.errors import DataError
from data_prep.io.atomic import replacing
from data_prep.io.progress import bar

# Short, so that a machine without a network gets the error within seconds.
TIMEOUT_SECONDS = 10
_CHUNK_BYTES = 1 << 16


class DownloadError(Exception):
    """The file could not be downloaded: there is no network, or no such file."""


def download(url: str, target: Path, md5: str, *, progress: bool) -> None:
    """Downloads `url` to `target`, which appears only after its checksum has been verified.

    Args:
        url: address of the file.
        target: final file; its folder is created if necessary.
        md5: the checksum that the publisher states.
        progress: whether to show a progress bar on a terminal.

    Raises:
        DownloadError: if the network or the server failed.
        DataError: if the file has another checksum.
    """
    with replacing(target) as partial:
        _fetch(url, partial, progress=progress)
        found = pooch.file_hash(str(partial), alg="md5")
        if found != md5:
            raise DataError(
                f"The download of {url} must have MD5 {md5}. Received: {found}. Try again, or "
                f"put the file at `{target}` yourself."
            )


def _fetch(url: str, target: Path, *, progress: bool) -> None:
    name = f"Downloading {url.rsplit('/', 1)[-1]}"
    # The server states the number of bytes later. It is 1 until then, because pooch does not
    # update a bar of 0.
    with bar(None, name, 1, "B", progress=progress) as shown:
        kind: Any = pooch.HTTPDownloader  # its stub accepts only a bool as the bar
        fetch = kind(shown, chunk_size=_CHUNK_BYTES, timeout=TIMEOUT_SECONDS)
        try:
            fetch(url, str(target), None)
        except requests.RequestException as error:
            raise DownloadError(_reason(error)) from error


def _reason(error: requests.RequestException) -> str:
    """Returns why a request failed: the first part of the message of the inner error."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    return str(inner.args[0] if isinstance(inner, Exception) and inner.args else inner)
