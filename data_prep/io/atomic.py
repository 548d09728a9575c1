"""Folders that are either complete or absent, whatever interrupts the work.

A folder is built under a hidden name beside its target and renamed when it is
complete. What a killed process left under a hidden name is cleared by the next
build. A lock, which the system releases even after `kill -9`, keeps two
processes from building the same thing, so a hidden folder found is always stale.
"""

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from data_prep.errors import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

LOCK_NAME = ".data_prep.lock"
IDENTITY_NAME = ".data_prep_identity.json"
_POLL_SECONDS = 0.2


def _try_lock(file: BinaryIO) -> bool:
    try:
        if fcntl is None:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        # Some network file systems have no locks. Working without one is right
        # for the usual single process, and better than not working at all.
        return True
    return True


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lets one process at a time build in `folder`; the others wait their turn.

    Args:
        folder: made if it is missing. The small lock file stays in it, because
            removing a lock file that another process waits for is a race.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("ab") as file:
        if not _try_lock(file):
            logging.getLogger(__name__).warning(
                "Another process is preparing data in `%s`; waiting for it.", folder
            )
            while not _try_lock(file):
                time.sleep(_POLL_SECONDS)
        yield


def is_vacant(folder: Path) -> bool:
    """Whether `folder` is missing or an empty folder: free to be built."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _hidden_sibling(target: Path, purpose: str) -> Path:
    return target.with_name(f".{target.name}.data_prep_{purpose}")


def was_interrupted(target: Path) -> bool:
    """Whether a build of `target` was killed, or is going on in another process."""
    target = target.resolve()
    return any(_hidden_sibling(target, purpose).exists() for purpose in ("building", "replaced"))


def recover(target: Path) -> None:
    """Clears what a killed build of `target` left; call it under `exclusive`.

    A finished folder that had stepped aside for its successor comes back when the
    successor did not arrive.
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
    # A folder cannot be renamed over a full one, so the old one steps aside
    # first: a kill between the two renames leaves no folder, never a mixed one.
    if target.exists():
        target.rename(replaced)
    built.rename(target)
    if replaced.exists():
        shutil.rmtree(replaced)


def _check_replaceable(target: Path, replace: bool) -> None:
    if not replace and not is_vacant(target):
        raise DataError(
            f"`{target}` already exists and is left alone, because data_prep replaces only "
            "what it has made itself. Move it away, or choose another --data_dir."
        )


@contextlib.contextmanager
def building(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yields an empty folder that becomes `target` when the block ends well.

    When the block raises, the folder is removed and `target` stays as it was.

    Args:
        target: the final folder; a symbolic link is followed.
        replace: whether a `target` that holds something may be replaced. Only for
            folders the caller has recognised as made by this package.

    Yields:
        The folder to fill.

    Raises:
        DataError: `target` holds something and `replace` is false.
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
    """Like `building`, but what an interrupted build has done is there again.

    A kill or Ctrl-C keeps the hidden folder; the next call with the same `identity`
    gets it as it was left, one with another identity an empty one. Any error removes
    it. The caller must be able to tell which of its pieces are complete, for example
    because each was made by `building`.

    Args:
        target: the final folder; a symbolic link is followed.
        identity: all that decides the content, as JSON can hold it.
        replace: whether a `target` that holds something may be replaced.

    Yields:
        The folder to fill. Its file `IDENTITY_NAME` is removed at the end.

    Raises:
        DataError: `target` holds something and `replace` is false.
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
    """Whether `resuming` would go on with the work of an interrupted build."""
    note = _hidden_sibling(target.resolve(), "partial") / IDENTITY_NAME
    return note.is_file() and note.read_text(encoding="utf-8") == _written(identity)


def _written(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def _discard(folder: Path) -> None:
    # The identity first: pieces may be half-deleted when this is interrupted.
    (folder / IDENTITY_NAME).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
