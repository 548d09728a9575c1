"""Reads images from a zip or tar archive, or from the folder unpacked from it.

An archive is read in place and never unpacked, so the name of a member cannot cause a file to be
written outside. An archive that contains such a name is still rejected, because no data set has
one.
"""

import bz2
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from data_prep.errors import DataError
from data_prep.io.sources import FolderSource, ImageSource, is_image

_READ_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_FRESH_COPY = "Fetch a fresh copy of it."
_CHUNK_BYTES = 1 << 20
_COMPRESSIONS = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\0": lzma}
_PNG = (".png",)


class ZipSource(ImageSource):
    """The images in a zip archive."""

    def __init__(self, path: Path, max_bytes: int, suffixes: Collection[str]) -> None:
        """Opens the archive and checks its list of members."""
        self._zip = _open_zip(path)
        try:
            for member in self._zip.infolist():
                _check_name(path, member.filename)
                _check_zip_member(path, member)
            names = [name for name in self._zip.namelist() if is_image(name, suffixes)]
            _check_distinct(path, names)
        except DataError:
            self._zip.close()
            raise
        super().__init__(path, names, max_bytes)

    def close(self) -> None:
        """Closes the archive."""
        self._zip.close()

    def stamp(self, name: str) -> tuple[int, int]:
        """Returns size and checksum."""
        return self._size(name), self._zip.getinfo(name).CRC

    def _size(self, name: str) -> int:
        return self._zip.getinfo(name).file_size

    def _read(self, name: str) -> bytes:
        # zipfile stops at the announced size, so a member cannot become larger than that.
        try:
            return self._zip.read(name)
        except _READ_ERRORS as error:
            raise DataError(f"{self.where(name)} is damaged ({error}). {_FRESH_COPY}") from error


class TarSource(ImageSource):
    """The images in a tar archive, which may be compressed."""

    def __init__(self, path: Path, max_bytes: int, suffixes: Collection[str]) -> None:
        """Opens the archive and checks its list of members."""
        self._lock = threading.Lock()
        self._file = _open_tar(path)
        try:
            members = _tar_members(path, self._file)
            names = [member.name for member in members if is_image(member.name, suffixes)]
            _check_distinct(path, names)
        except DataError:
            self._file.close()
            raise
        self._members = {member.name: member for member in members}
        super().__init__(path, names, max_bytes)

    def close(self) -> None:
        """Closes the archive."""
        self._file.close()

    def stamp(self, name: str) -> tuple[int, int]:
        """Returns size and time of the last change."""
        return self._size(name), int(self._members[name].mtime)

    def _size(self, name: str) -> int:
        return self._members[name].size

    def _read(self, name: str) -> bytes:
        with self._lock:
            self._file.seek(self._members[name].offset_data)
            return self._file.read(self._size(name))


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _READ_ERRORS as error:
        with path.open("rb") as file:
            cut_off = file.read(2) == b"PK"
        damaged = f"is a truncated or damaged zip archive ({error})"
        found = damaged if cut_off else "is not a zip or tar archive"
        raise DataError(f"`{path}` {found}. {_FRESH_COPY}") from error


def _open_tar(path: Path) -> BinaryIO:
    """Opens a tar archive; a compressed one is decompressed into a temporary file without a name.

    Images are read in any order, which is impossible in a compressed stream.
    """
    with path.open("rb") as file:
        start = file.read(6)
    module = next((m for magic, m in _COMPRESSIONS.items() if start.startswith(magic)), None)
    if module is None:
        return path.open("rb")
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 (the source closes it)
    try:
        with module.open(path, "rb") as file:
            shutil.copyfileobj(file, unpacked, _CHUNK_BYTES)
    except BaseException as error:
        unpacked.close()
        # Errors of the decompressor have no `errno`; those of the system have one.
        bad_stream = isinstance(error, OSError) and error.errno is None
        if bad_stream or isinstance(error, _READ_ERRORS):
            raise _damaged_tar(path, error) from error
        raise
    unpacked.seek(0)
    return unpacked


def _tar_members(path: Path, file: BinaryIO) -> list[tarfile.TarInfo]:
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            members = archive.getmembers()
    except _READ_ERRORS as error:
        raise _damaged_tar(path, error) from error
    # tarfile mistakes a truncated header for the end; a complete archive ends with zeros.
    file.seek(max((_end(member) for member in members), default=0))
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise _damaged_tar(path, "its end is missing")
    for member in members:
        _check_name(path, member.name)
        if not (member.isreg() or member.isdir()) or member.issparse():
            kind = "a symbolic link" if member.issym() else "not a plain file"
            raise _rejected(path, member.name, f"is {kind}")
    return [member for member in members if member.isreg()]


def _end(member: tarfile.TarInfo) -> int:
    num_blocks = -(-member.size // tarfile.BLOCKSIZE)
    return member.offset_data + num_blocks * tarfile.BLOCKSIZE


def _check_name(path: Path, name: str) -> None:
    # The rules of Windows cover those of the other systems: `/x`, `..`, `C:x`, `..\\x`.
    parsed = PureWindowsPath(name)
    if parsed.anchor or ".." in parsed.parts:
        raise _rejected(path, name, "points outside the archive")


def _check_zip_member(path: Path, member: zipfile.ZipInfo) -> None:
    if stat.S_ISLNK(member.external_attr >> 16):
        raise _rejected(path, member.filename, "is a symbolic link")
    if member.flag_bits & 0x1:
        raise _rejected(path, member.filename, "is encrypted")


def _check_distinct(path: Path, names: list[str]) -> None:
    for name, count in Counter(names).most_common(1):
        if count > 1:
            raise DataError(f"`{path}` contains `{name}` {count} times. {_FRESH_COPY}")


def _rejected(path: Path, name: str, fault: str) -> DataError:
    return DataError(f"`{path}` is rejected, because its member `{name}` {fault}. {_FRESH_COPY}")


def _damaged_tar(path: Path, error: object) -> DataError:
    return DataError(f"`{path}` is a truncated or damaged tar archive ({error}). {_FRESH_COPY}")


def open_source(path: Path, max_bytes: int, suffixes: Collection[str] = _PNG) -> ImageSource:
    """Opens a zip or tar archive, or a folder, of images.

    Args:
        path: an archive, or a folder.
        max_bytes: size of the largest possible file of the data set. A larger file is rejected
            without reading it: it is damaged, or meant to fill the memory.
        suffixes: endings of the names of its images, in lower case.

    Returns:
        The source, which the caller closes.

    Raises:
        DataError: if the path does not exist, is not an archive, or is an archive that is damaged,
            encrypted or contains links.
    """
    path = path.absolute()  # a relative path could look like an argument in a message
    if path.is_dir():
        return FolderSource(path, max_bytes, suffixes)
    if not path.exists():
        raise DataError(
            f"`{path}` does not exist. Name a zip archive, a tar archive or a folder that exists."
        )
    kind = TarSource if tarfile.is_tarfile(path) else ZipSource
    return kind(path, max_bytes, suffixes)
