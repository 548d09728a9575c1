"""Reads pictures from a zip archive or from the folder unpacked from it.

An archive is read in place, never unpacked, so a hostile member name can write
nowhere; such an archive is refused all the same, because it is not what it says.
"""

import abc
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Self

from data_prep.errors import DataError

_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_FRESH_COPY = "Fetch a fresh copy of it."


def _is_junk(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(".png") and not _is_junk(name)


class PictureSource(abc.ABC):
    """Named PNG files, wherever they are kept. Usable as a context manager.

    Attributes:
        path: the archive or the folder.
        names: sorted member names with forward slashes, PNG files only. Dotfiles
            and the `__MACOSX` folder that macOS adds are left out.
        max_bytes: the largest file that is read.
    """

    def __init__(self, path: Path, names: list[str], max_bytes: int) -> None:
        """Keeps what every kind of source has."""
        self.path = path
        self.names = sorted(names)
        self.max_bytes = max_bytes

    def read(self, name: str) -> bytes:
        """Returns the bytes of one picture.

        Raises:
            DataError: the file is damaged or larger than `max_bytes`.
        """
        if self._size(name) > self.max_bytes:
            raise DataError(
                f"{self.where(name)} is {self._size(name)} bytes long; a picture of this data "
                f"set has at most {self.max_bytes}. {_FRESH_COPY}"
            )
        return self._read(name)

    def where(self, name: str) -> str:
        """Names a member in an error message."""
        return f"`{name}` in `{self.path}`"

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes the source."""
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """Frees the file handle, if there is one."""

    @abc.abstractmethod
    def _size(self, name: str) -> int: ...

    @abc.abstractmethod
    def _read(self, name: str) -> bytes: ...


class FolderSource(PictureSource):
    """The pictures in a folder and the folders below it."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Lists the folder."""
        names = [
            (Path(folder) / file).relative_to(path).as_posix()
            for folder, _, files in os.walk(path)
            for file in files
        ]
        super().__init__(path, [name for name in names if _is_picture(name)], max_bytes)

    def close(self) -> None:
        """Does nothing: files are opened one at a time."""

    def _size(self, name: str) -> int:
        return (self.path / name).stat().st_size

    def _read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class ZipSource(PictureSource):
    """The pictures in a zip archive."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Opens the archive and checks its list of members."""
        self._zip = _open_zip(path)
        try:
            for member in self._zip.infolist():
                _check_member(path, member)
            names = [name for name in self._zip.namelist() if _is_picture(name)]
            for name, count in Counter(names).most_common(1):
                if count > 1:
                    raise DataError(f"`{path}` holds `{name}` {count} times. {_FRESH_COPY}")
        except DataError:
            self._zip.close()
            raise
        super().__init__(path, names, max_bytes)

    def close(self) -> None:
        """Closes the archive."""
        self._zip.close()

    def _size(self, name: str) -> int:
        return self._zip.getinfo(name).file_size

    def _read(self, name: str) -> bytes:
        # zipfile stops at the announced size, so a member cannot grow past it.
        try:
            return self._zip.read(name)
        except _READ_ERRORS as error:
            raise DataError(f"{self.where(name)} is damaged ({error}). {_FRESH_COPY}") from error


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _READ_ERRORS as error:
        with path.open("rb") as file:
            cut_off = file.read(2) == b"PK"
        found = "is a truncated or damaged zip archive" if cut_off else "is not a zip archive"
        raise DataError(f"`{path}` {found} ({error}). {_FRESH_COPY}") from error


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    # Windows rules also see what is special elsewhere: `/x`, `..`, `C:x`, `..\\x`.
    name = PureWindowsPath(member.filename)
    fault = None
    if name.anchor or ".." in name.parts:
        fault = "points outside the archive"
    elif stat.S_ISLNK(member.external_attr >> 16):
        fault = "is a symbolic link"
    elif member.flag_bits & 0x1:
        fault = "is encrypted"
    if fault:
        raise DataError(
            f"`{path}` is refused: its member `{member.filename}` {fault}, which the official "
            f"archive's members do not. {_FRESH_COPY}"
        )


def open_source(path: Path, max_bytes: int) -> PictureSource:
    """Opens a zip archive or a folder of pictures.

    Args:
        path: an archive, or a folder.
        max_bytes: the largest file the data set can hold. A larger one is refused
            unread: it is damaged or meant to fill the memory.

    Returns:
        The source, to be closed by the caller.

    Raises:
        DataError: the path is missing, not a zip archive, or one that is refused.
    """
    if path.is_dir():
        return FolderSource(path, max_bytes)
    if not path.exists():
        raise DataError(f"`{path}` does not exist; expected a zip archive or a folder there.")
    return ZipSource(path, max_bytes)
