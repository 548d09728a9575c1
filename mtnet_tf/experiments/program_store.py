"""A folder of compiled programs, each of which is complete and unchanged, or ignored.

TensorFlow reads the files of its compilation cache without a checksum: a damaged one stops the
process. So a process works in a private folder, which contains only files that were checked. What
it has compiled is moved to the shared folder under a name that contains a checksum.
"""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from data_prep.io import process_folder, replacing

# Bytes of all programs; one of Omniglot's meta-step takes 5 MB.
LARGEST_STORE = 2**30
# The name that TensorFlow gives a program, then a checksum.
_ENTRY = re.compile(r"(?P<name>xla_compile_cache__\w+\.pb)\.(?P<checksum>[0-9a-f]{32})")


class ProgramStore:
    """The compiled programs in a folder, of all combinations of versions and processors.

    Attributes:
        private: folder of this process. It contains the checked programs, and TensorFlow writes the
            new ones into it.
    """

    def __init__(self, root: Path, largest: int = LARGEST_STORE) -> None:
        """Creates the private folder, which is empty.

        Args:
            root: folder of the programs.
            largest: bytes of all programs. Beyond that, the oldest ones are deleted.

        Raises:
            OSError: if the folder cannot be written.
        """
        self._root, self._folder, self._largest = root, root, largest
        self.private = process_folder(root)
        self._stored: set[str] = set()

    def load(self, key: str) -> None:
        """Adds the intact programs of a key to the private folder, and deletes damaged ones.

        Args:
            key: names a combination of versions and processors; programs of another key are never
                used.

        Raises:
            OSError: if the folder cannot be written.
        """
        self._folder = self._root / key
        self._folder.mkdir(exist_ok=True)
        for path, name, checksum in _entries(self._folder):
            with contextlib.suppress(FileNotFoundError):  # another process has deleted it
                if self._checksum(path, name) == checksum:
                    _link(path, self.private / name)
                    self._stored.add(name)
                else:
                    path.unlink(missing_ok=True)

    def store(self) -> None:
        """Adds the programs that this process has compiled since `load`.

        Raises:
            OSError: if they cannot be written.
        """
        # TensorFlow renames a file to this name when it is complete.
        new = {path.name for path in self.private.glob("xla_compile_cache__*.pb")} - self._stored
        for name in sorted(new):
            self._stored.add(name)
            path = self.private / name
            entry = self._folder / f"{name}.{self._checksum(path, name)}"
            with replacing(entry) as partial:
                shutil.copyfile(path, partial)
        if new:
            self._delete_oldest()

    def close(self) -> None:
        """Deletes the private folder."""
        shutil.rmtree(self.private, ignore_errors=True)

    def _checksum(self, path: Path, name: str) -> str:
        """The checksum of a program, which also depends on its name and on the key."""
        digest = hashlib.sha256(f"{self._folder.name}/{name}\n".encode())
        digest.update(path.read_bytes())
        return digest.hexdigest()[:32]

    def _delete_oldest(self) -> None:
        found = []
        for folder in self._root.iterdir():
            for path, _, _ in _entries(folder):
                with contextlib.suppress(FileNotFoundError):
                    found.append((path.stat().st_mtime, path.stat().st_size, path))
        total = 0
        for _, size, path in sorted(found, reverse=True):
            total += size
            if total > self._largest:
                path.unlink(missing_ok=True)


def _entries(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """(path, TensorFlow's name, checksum) of each program in a folder; other files are ignored."""
    for path in sorted(folder.glob("xla_compile_cache__*")):
        match = _ENTRY.fullmatch(path.name)
        if match and path.is_file():
            yield path, match["name"], match["checksum"]


def _link(source: Path, target: Path) -> None:
    """Gives a file a second name, or copies it where links are impossible."""
    try:
        os.link(source, target)
    except FileExistsError:  # a second intact program of this name
        return
    except OSError:
        shutil.copyfile(source, target)
