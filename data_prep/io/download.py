"""Fetches one file over HTTP, complete and verified or not at all."""

import hashlib
import http.client
import urllib.request
from pathlib import Path

from tqdm import tqdm

from data_prep.errors import DataError

# Short, so that a machine without network answers in seconds.
TIMEOUT_SECONDS = 10
_CHUNK_BYTES = 1 << 16


class DownloadError(Exception):
    """The file could not be fetched: no network, or no such file."""


def download(url: str, target: Path, md5: str, *, progress: bool) -> None:
    """Downloads `url` to `target`, written beside it and renamed when verified.

    Args:
        url: where from.
        target: where to; its folder is made if it is missing.
        md5: the checksum the publisher states.
        progress: whether to show a bar on a terminal.

    Raises:
        DownloadError: the network or the server failed.
        DataError: what came has another checksum.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.data_prep_part")
    try:
        found = _fetch(url, part, progress=progress)
        if found != md5:
            raise DataError(
                f"The download of {url} must have MD5 {md5}. Received: {found}. Try again, or "
                f"put the file at `{target}` yourself."
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _fetch(url: str, part: Path, *, progress: bool) -> str:
    """Writes the response to `part` and returns its MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    with part.open("wb") as file:
        response = _open(url)
        bar = tqdm(
            desc=f"Downloading {url.rsplit('/', 1)[-1]}",
            total=int(response.headers.get("Content-Length", 0)) or None,
            unit="B",
            unit_scale=True,
            disable=None if progress else True,
        )
        with response, bar:
            while chunk := _read(response):
                digest.update(chunk)
                file.write(chunk)
                bar.update(len(chunk))
    return digest.hexdigest()


def _open(url: str) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(str(error)) from error


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(str(error)) from error
