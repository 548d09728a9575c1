import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOGGED = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1795765782.891252    6100 port.cc:153] oneDNN custom operations are on.\n"
    "E0000 00:00:1795765799.998511    6147 cuda_platform.cc:52] failed call to cuInit\n"
)
START = f"""
import os, sys
from data_prep.io import quiet_start
with quiet_start("program"):
    os.write(2, {LOGGED.encode()!r})
    {{}}
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
sys.stderr.write("ours\\n")
os.write(2, b"later\\n")
"""


def start(statement="pass", close="", **environment):
    """Runs a command that imports something which logs, and then runs a statement."""
    inherited = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = f'exec "{sys.executable}" -c "$0" {close}'
    return subprocess.run(
        ["sh", "-c", command, START.format(statement)],
        cwd=ROOT, capture_output=True, text=True, env={**inherited, **environment},
    )  # fmt: skip


def test_log_lines_are_hidden_and_everything_else_is_shown():
    done = start("os.write(2, b'Warning: theirs'); sys.stderr.write('\\n')")
    assert (done.returncode, done.stdout) == (0, "3\n")
    assert done.stderr == "Warning: theirs\nours\nlater\n"


@pytest.mark.parametrize("level", ["0", "2"])
def test_a_user_who_asks_for_messages_sees_them(level):
    done = start(TF_CPP_MIN_LOG_LEVEL=level)
    assert done.stdout == f"{level}\n" and done.stderr == f"{LOGGED}ours\nlater\n"


def test_an_import_that_fails_shows_its_error():
    done = start("import no_such_module")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("No module named 'no_such_module'")


def test_a_crash_during_the_import_is_shown():
    done = start("os.abort()")
    assert done.returncode == -6 and "Fatal Python error: Aborted" in done.stderr


def test_a_package_that_cannot_work_here_gives_one_sentence_and_status_2():
    done = start("raise ImportError('mtnet_tf requires more.', name='mtnet_tf')")
    assert (done.returncode, done.stderr) == (2, "program: mtnet_tf requires more.\n")


@pytest.mark.parametrize("close", ["2>&-", "1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_do_not_matter(close, tmp_path):
    file = tmp_path / "file"
    done = start(f"kept = open({str(file)!r}, 'w')", close)
    assert done.returncode == 0
    assert done.stderr in ("", "ours\nlater\n")
    assert file.read_text() == ""  # no stream is written into it


def test_no_garbage_is_collected_during_the_imports_only():
    during = "import gc; assert not gc.isenabled(); import atexit"
    done = start(
        f"{during}; atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0))"
    )
    assert done.stdout.splitlines()[-1] == "True True"
