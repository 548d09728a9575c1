import errno
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep import prepare_synthetic_omniglot
from data_prep.io import InUseError, exclusive

ROOT = Path(__file__).parents[3]
# Holds the lock of a folder until its standard input is closed.
HOLD = """
import pathlib, sys
from data_prep.io import exclusive
with exclusive(pathlib.Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    command, pipe = [sys.executable, "-c", HOLD, str(tmp_path)], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as process:
        process.stdout.readline()
        yield process
        process.kill()


def attempt(folder):
    with exclusive(folder, wait=False):
        return True


def test_the_second_writer_is_told_which_process_is_the_first(tmp_path, other):
    for _ in range(2):  # an attempt does not change what the next one reads
        with pytest.raises(InUseError) as caught:
            attempt(tmp_path)
    expected = rf"Process {other.pid} on {re.escape(socket.gethostname())} \(since 20\d\d-.*\) is "
    expected += rf"writing to `{re.escape(str(tmp_path))}`\. Wait until it has finished, or stop it"
    assert re.match(expected, str(caught.value))
    other.communicate()
    assert attempt(tmp_path)


def test_a_killed_process_does_not_block_the_folder(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert attempt(tmp_path)
    # What it left in the file is not taken for the present holder.
    with exclusive(tmp_path), pytest.raises(InUseError, match=f"Process {os.getpid()} on"):
        attempt(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "3", '{"pid": "x"}', '{"pid": 999999999}'])
def test_a_holder_that_cannot_be_read_is_another_process(tmp_path, monkeypatch, text):
    monkeypatch.setattr("data_prep.io.locks._SECONDS_TO_SIGN", 0.01)
    with exclusive(tmp_path):
        (tmp_path / ".data_prep.lock").write_text(text)
        with pytest.raises(InUseError, match="Another process is writing to"):
            attempt(tmp_path)


def test_locks_with_different_names_do_not_exclude_each_other(tmp_path):
    with exclusive(tmp_path, name=".a.lock"), exclusive(tmp_path, name=".b.lock", wait=False):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".a.lock", ".b.lock"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_can_be_used(tmp_path, monkeypatch, number):
    def no_locks(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert prepare_synthetic_omniglot(tmp_path, num_classes=1).is_dir()
    # No marker is left that would block the folder after a kill.
    assert (tmp_path / ".data_prep.lock").read_text() == ""


def test_other_errors_of_the_lock_are_raised(tmp_path, monkeypatch):
    def broken(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fcntl.flock", broken)
    with pytest.raises(OSError, match="Input/output error"), exclusive(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_needs_no_lock(tmp_path, monkeypatch):
    def read_only(*args, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("filelock.FileLock.acquire", read_only)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert attempt(tmp_path)
