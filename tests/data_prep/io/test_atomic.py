import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.io import replacing

ROOT = Path(__file__).parents[3]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["plot.png", "last.weights.h5", "model.keras", "plain"])
def test_the_temporary_file_has_the_same_suffixes_and_becomes_the_file(tmp_path, name):
    with replacing(tmp_path / "new" / name) as partial:
        assert partial.name.endswith(name)
        assert partial.parent == tmp_path / "new"
        partial.write_bytes(b"content")
        assert not (tmp_path / "new" / name).exists()
    assert (tmp_path / "new" / name).read_bytes() == b"content"
    assert names(tmp_path / "new") == [name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_keeps_the_old_file(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), replacing(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_kill_keeps_the_old_file_and_the_next_write_removes_the_remains(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    code = (
        "import os, signal, sys\n"
        "from data_prep.io import replacing\n"
        "with replacing(sys.argv[1]) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    assert (tmp_path / "a.txt").read_text() == "old"
    with replacing(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("host", ["node-1", "node 1.lab/é*[a]", "x" * 200])
def test_only_remains_of_this_computer_are_deleted(tmp_path, monkeypatch, host):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    remains = []
    for name in (host, "node-2"):
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as partial:
            remains.append(partial.name.replace(str(os.getpid()), str(ended.pid)))
            raise KeyboardInterrupt
    for name in (*remains, ".partial.a.txt", "a.txt.partial"):
        (tmp_path / name).write_text("half")
    monkeypatch.setattr("socket.gethostname", lambda: host)
    with replacing(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    kept = [remains[1], ".partial.a.txt", "a.txt.partial", "a.txt"]
    assert names(tmp_path) == sorted(kept)
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("name", [".partial.a.txt", ".partial.7.a.txt"])
def test_remains_of_version_0_1_are_deleted_after_a_day(tmp_path, name):
    (tmp_path / name).write_text("half")
    for hours, expected in ((23, [name, "a.txt"]), (25, ["a.txt"])):
        then = time.time() - 3600 * hours
        os.utime(tmp_path / name, (then, then))
        with replacing(tmp_path / "a.txt") as partial:
            partial.write_text("new")
        assert names(tmp_path) == sorted(expected)


def test_two_processes_that_write_one_file_do_not_disturb_each_other(tmp_path):
    code = (
        "import sys\n"
        "from data_prep.io import replacing\n"
        "with replacing(sys.argv[1]) as partial:\n"
        "    partial.write_text('theirs')\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as other:
        other.stdout.readline()
        with replacing(tmp_path / "a.txt") as partial:
            partial.write_text("ours")
        assert (tmp_path / "a.txt").read_text() == "ours"
        other.communicate()
    assert other.returncode == 0
    assert (tmp_path / "a.txt").read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]
