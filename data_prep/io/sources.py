"""Sources of named images: the interface, and the images in a folder."""

import abc
import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Self

from data_prep.errors import DataError

_FRESH_COPY = "Fetch a fresh copy of it."


def is_image(name: str, suffixes: Collection[str]) -> bool:
    """Whether a member is an image, judged by its name.

    Files that operating systems create are not images, even if they have the suffix of an image:
    hidden files such as .DS_Store, everything in hidden folders, and the folder `__MACOSX` that
    macOS adds to archives.

    >>> is_image("cat/1.PNG", {".png"}), is_image("__MACOSX/cat/1.png", {".png"})
    (True, False)
    """
    return PurePosixPath(name).suffix.lower() in suffixes and is_visible(name)


def is_visible(name: str) -> bool:
    """Whether a user has created a file or folder, and not an operating system; see `is_image`."""
    parts = PurePosixPath(name).parts
    hidden = "__MACOSX" in parts or any(part.startswith(".") for part in parts)
    return not hidden and parts[-1].lower() not in ("thumbs.db", "desktop.ini")


class ImageSource(abc.ABC):
    """Named image files in an archive or a folder. Usable as a context manager.

    Several threads may read at once.

    Attributes:
        path: the archive or the folder.
        names: sorted names of the members that are images (`is_image`), with forward slashes.
        max_bytes: size of the largest file that is read.
    """

    def __init__(self, path: Path, names: list[str], max_bytes: int) -> None:
        """Stores what all sources have in common."""
        self.path = path
        self.names = sorted(names)
        self.max_bytes = max_bytes

    def read(self, name: str) -> bytes:
        """Returns the bytes of one image.

        Raises:
            DataError: if the file is damaged or larger than `max_bytes`.
        """
        size = self._size(name)
        if size > self.max_bytes:
            raise DataError(
                f"{self.where(name)} is {size} bytes long; an image of this data set has at most "
                f"{self.max_bytes}. {_FRESH_COPY}"
            )
        return self._read(name)

    def where(self, name: str) -> str:
        """Returns how an error message names a member."""
        return f"`{name}` in `{self.path}`"

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes the source."""
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the file, if one is open."""

    @abc.abstractmethod
    def stamp(self, name: str) -> tuple[int, int]:
        """Returns two numbers that change when the member changes, without reading the member."""

    @abc.abstractmethod
    def _size(self, name: str) -> int: ...

    @abc.abstractmethod
    def _read(self, name: str) -> bytes: ...


class FolderSource(ImageSource):
    """The images in a folder and in the folders below it.

    Symbolic links are followed, because data sets are often made of them. A link that leads back to
    a folder above itself is ignored.

    Attributes:
        others: names of files that are neither images nor created by an operating system.
    """

    def __init__(self, path: Path, max_bytes: int, suffixes: Collection[str]) -> None:
        """Lists the folder."""
        found = [file.relative_to(path).as_posix() for file in _walk(path, frozenset())]
        names = [name for name in found if is_image(name, suffixes)]
        super().__init__(path, names, max_bytes)
        images = set(names)
        self.others = sorted(n for n in found if n not in images and is_visible(n))

    def close(self) -> None:
        """Does nothing, because files are opened one at a time."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Returns size and time of the last change."""
        stat = self._stat(name)
        return stat.st_size, stat.st_mtime_ns

    def _size(self, name: str) -> int:
        return self._stat(name).st_size

    def _stat(self, name: str) -> os.stat_result:
        try:
            return (self.path / name).stat()
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: OSError) -> DataError:
        kind = "is a broken symbolic link" if (self.path / name).is_symlink() else "cannot be read"
        return DataError(f"{self.where(name)} {kind} ({error.strerror}). Fix or remove it.")


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """Yields the files below a folder; `above` identifies the folders that contain it."""
    stat = folder.stat()
    here = (stat.st_dev, stat.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, above | {here})
        else:
            yield folder / entry.name
