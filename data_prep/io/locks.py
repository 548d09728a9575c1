"""A lock on a folder, so that one process at a time writes into it.

The operating system releases the lock when the process ends, even after `kill -9`.
"""

import contextlib
import datetime
import errno
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from data_prep.errors import DataError

LOCK_NAME = ".data_prep.lock"
# Error numbers of file systems without locks, such as some network file systems.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
# A process that has just taken the lock needs this long at most to write its name into the file.
_SECONDS_TO_SIGN = 1.0


class InUseError(DataError):
    """Another process is writing. The message names the process."""


@contextlib.contextmanager
def exclusive(
    folder: Path, *, name: str = LOCK_NAME, wait: bool = True, target: Path | None = None
) -> Iterator[None]:
    """Lets one process at a time write in `folder`.

    The lock file contains the process that holds it. It stays in the folder, because deleting a
    lock file that another process waits for would be a race. On file systems without locks, nothing
    is locked, which is safe for a single process.

    Args:
        folder: created if it is missing.
        name: name of the lock file; writers with different names do not exclude each other.
        wait: whether to wait until another process has finished.
        target: what is written, for the message; None for the folder.

    Raises:
        InUseError: if another process holds the lock and `wait` is false.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    # filelock's substitute, a marker file, would outlive a killed process.
    lock = filelock.FileLock(file, fallback_to_soft=False)
    is_held = _acquire(lock, file, target or folder, wait)
    try:
        if is_held:
            file.write_text(_signature(), encoding="utf-8")
        yield
    finally:
        if is_held:
            with contextlib.suppress(OSError):
                file.write_text("", encoding="utf-8")
        lock.release()


def _acquire(lock: filelock.BaseFileLock, file: Path, target: Path, wait: bool) -> bool:
    """Takes the lock; returns False where there are no locks."""
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        holder = _holder(file)
        if not wait:
            raise InUseError(
                f"{holder} is writing to `{target}`. Wait until it has finished, or stop it."
            ) from None
        logging.getLogger(__name__).warning(
            "%s is preparing data in `%s`; waiting for it.", holder, target
        )
        lock.acquire()
    except NotImplementedError:
        return False
    except OSError as error:
        # A folder that cannot be written needs no lock: the first write raises a clear error.
        if error.errno not in _NO_LOCKS and os.access(file.parent, os.W_OK):
            raise
        return False
    return True


def _signature() -> str:
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})


def _holder(file: Path) -> str:
    """The process that holds the lock, as text."""
    end = time.monotonic() + _SECONDS_TO_SIGN
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(file.read_text(encoding="utf-8"))
            pid, host, since = int(found["pid"]), found["host"], found["since"]
            # What a killed process left in the file is replaced by the next one.
            if host != socket.gethostname() or is_running(pid):
                return f"Process {pid} on {host} (since {since})"
        time.sleep(0.05)
    return "Another process"


def is_running(pid: int) -> bool:
    """Whether there is a process with this number on this machine; True if it is unknown."""
    if os.name != "posix":  # elsewhere, `os.kill` ends the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
