"""Files and folders that are either complete or absent, even if the process is killed.

A file or folder is built under a hidden name next to its target and renamed when it is complete.
The next build deletes the remains of a killed process. A lock (`exclusive`) prevents two processes
from building the same folder. So a hidden folder that is found always comes from a killed process.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.errors import DataError
from data_prep.io.locks import is_running

IDENTITY_NAME = ".data_prep_identity.json"
# No process writes a file for longer without changing it.
_SECONDS_OF_A_WRITE = 24 * 60 * 60.0


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Writes a file that is complete or absent, even if the process is killed.

    Every package writes its files with this function, so that no file is ever half-written.

    >>> with replacing("notes.txt") as partial:
    ...     _ = partial.write_text("Hello")
    >>> Path("notes.txt").read_text()
    'Hello'

    Args:
        path: the final file. Its folder is created if necessary.

    Yields:
        Path of the temporary file to write. It is in the same folder, and its name ends with the
        name of `path`, so that its suffixes are the same. It replaces `path` when the block ends,
        and is deleted when the block raises. Its name contains the computer and the process, so
        that two processes can write `path` at once, also from two computers that share the folder;
        the later one replaces the file of the earlier one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_remains(path)
    partial = path.with_name(f".partial.{host_name()}.{os.getpid()}.{path.name}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _delete_remains(path: Path) -> None:
    """Deletes what killed processes of this computer wrote of a file.

    Those of other computers stay, because it is unknown whether their processes are running. In
    version 0.1, names did not contain the computer; such a file is deleted when it is a day old.
    """
    host, name = re.escape(host_name()), re.escape(path.name)
    for file in path.parent.glob(".partial.*"):
        found = re.fullmatch(rf"\.partial\.{host}\.(\d+)\.{name}", file.name)
        old = re.fullmatch(rf"\.partial\.(\d+\.)?{name}", file.name)
        if (found and not is_running(int(found[1]))) or (old and _is_old(file)):
            file.unlink(missing_ok=True)


def _is_old(file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # its process has just renamed it
        return time.time() - file.stat().st_mtime > _SECONDS_OF_A_WRITE
    return False


def host_name() -> str:
    """The name of this computer, as a part of the name of a file: letters, digits and `-`."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:64]


def is_vacant(folder: Path) -> bool:
    """Whether `folder` is missing or empty, so that it can be built."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _hidden_sibling(target: Path, purpose: str) -> Path:
    return target.with_name(f".{target.name}.data_prep_{purpose}")


def was_interrupted(target: Path) -> bool:
    """Whether a build of `target` was killed, or is running in another process."""
    target = target.resolve()
    return any(_hidden_sibling(target, purpose).exists() for purpose in ("building", "replaced"))


def recover(target: Path) -> None:
    """Deletes the remains of a killed build of `target`; call it within `exclusive`.

    If the old folder was already renamed, but the new one was not put in its place, the old one
    gets its name back.
    """
    target = target.resolve()
    replaced, unfinished = (_hidden_sibling(target, p) for p in ("replaced", "building"))
    if replaced.exists() and not target.exists():
        replaced.rename(target)
    for leftover in (replaced, unfinished):
        if leftover.exists():
            shutil.rmtree(leftover)


def _put_in_place(built: Path, target: Path) -> None:
    replaced = _hidden_sibling(target, "replaced")
    # A folder cannot be renamed to the name of a folder with content, so the old one is renamed
    # first. A kill between the two renames leaves no folder, and never a mixed one.
    if target.exists():
        target.rename(replaced)
    built.rename(target)
    if replaced.exists():
        shutil.rmtree(replaced)


def _check_replaceable(target: Path, replace: bool) -> None:
    if not replace and not is_vacant(target):
        raise DataError(
            f"`{target}` already exists and is not changed, because data_prep replaces only "
            "folders that it has created. Move it away, or choose another place for the results."
        )


@contextlib.contextmanager
def building(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yields an empty folder that becomes `target` when the block ends.

    If the block raises, the folder is deleted and `target` does not change.

    Args:
        target: the final folder; a symbolic link is followed.
        replace: whether a `target` that is not empty may be replaced. Only for folders that were
            created by this package.

    Yields:
        The folder to fill.

    Raises:
        DataError: if `target` is not empty and `replace` is false.
    """
    target = target.resolve()
    recover(target)
    _check_replaceable(target, replace)
    folder = _hidden_sibling(target, "building")
    folder.mkdir(parents=True)
    try:
        yield folder
        _put_in_place(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def resuming(target: Path, identity: Mapping[str, Any], *, replace: bool = False) -> Iterator[Path]:
    """Like `building`, but an interrupted build can be resumed.

    After a kill or Ctrl-C, the hidden folder remains. The next call with the same `identity` gets
    it unchanged, and a call with another identity gets an empty one. Any error deletes it.
    The caller must be able to recognise which parts of it are complete, for example because
    each was made by `building`.

    Args:
        target: the final folder; a symbolic link is followed.
        identity: everything that determines the content, as JSON.
        replace: whether a `target` that is not empty may be replaced.

    Yields:
        The folder to fill. Its file `IDENTITY_NAME` is removed at the end.

    Raises:
        DataError: if `target` is not empty and `replace` is false.
    """
    target = target.resolve()
    recover(target)
    _check_replaceable(target, replace)
    folder = _hidden_sibling(target, "partial")
    try:
        if not _is_unfinished(target, identity):
            _discard(folder)
            folder.mkdir(parents=True)
            (folder / IDENTITY_NAME).write_text(_written(identity), encoding="utf-8")
        yield folder
        (folder / IDENTITY_NAME).unlink()
        _put_in_place(folder, target)
    except Exception:
        _discard(folder)
        raise


def _is_unfinished(target: Path, identity: Mapping[str, Any]) -> bool:
    """Whether there is an interrupted build of `target` with this identity."""
    note = _hidden_sibling(target.resolve(), "partial") / IDENTITY_NAME
    return note.is_file() and note.read_text(encoding="utf-8") == _written(identity)


def _written(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def _discard(folder: Path) -> None:
    # The identity is deleted first: an interruption may leave half-deleted parts, which must not be
    # resumed.
    (folder / IDENTITY_NAME).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
