"""Folders are complete or absent whenever the process is killed."""

import multiprocessing
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep import DataError, load_packed, prepare_synthetic_omniglot
from data_prep.atomic import building, exclusive

ROOT = Path(__file__).parents[1]
# Runs the command line with `name` replaced by a function that, at its n-th call,
# sends the process a signal and otherwise does what it did before.
SCRIPT = """
import os, pathlib, signal, sys
from data_prep import omniglot_folders
from data_prep.__main__ import main
owner = {"Path": pathlib.Path, "folders": omniglot_folders}[sys.argv[1]]
name, nth, sent = sys.argv[2], int(sys.argv[3]), signal.Signals[sys.argv[4]]
original, calls = getattr(owner, name), 0
def trap(*args, **kwargs):
    global calls
    calls += 1
    if calls == nth:
        os.kill(os.getpid(), sent)
    return original(*args, **kwargs)
setattr(owner, name, trap)
sys.exit(main(["omniglot", "--synthetic", "--num_classes", "3", *sys.argv[5:]]))
"""
MOMENTS = {
    "first picture": ("folders", "resize", 1),
    "while resizing": ("folders", "resize", 33),
    "before the note": ("Path", "write_text", 1),
    "before the resized folder is in place": ("Path", "rename", 1),
    "first packed picture": ("folders", "ink", 1),
    "while packing": ("folders", "ink", 33),
    "before the index": ("Path", "write_text", 2),
    "before the packed folder is in place": ("Path", "rename", 2),
}
FORCED_MOMENTS = {f"rename {nth}": ("Path", "rename", nth) for nth in (1, 2, 3, 4)}


def run_and_stop(data_dir, moment, signal_name, *options):
    command = [sys.executable, "-c", SCRIPT, *map(str, moment), signal_name, *options]
    return subprocess.run(
        [*command, "--data_dir", str(data_dir)], cwd=ROOT, capture_output=True, text=True
    )


def assert_whole(data_dir):
    """Asserts that a later run makes everything and clears all leftovers."""
    folder = prepare_synthetic_omniglot(data_dir, num_classes=3)
    assert load_packed(folder, verify=True).images.shape == (60, 28, 28, 1)
    assert len(list((data_dir / "omniglot_synthetic_resized").glob("*/*/*.png"))) == 60


def assert_complete_or_absent(data_dir):
    resized = data_dir / "omniglot_synthetic_resized"
    assert not resized.exists() or len(list(resized.glob("*/*/*.png"))) == 60
    packed = data_dir / "omniglot_synthetic_packed"
    assert not packed.exists() or len(load_packed(packed, verify=True).images) == 60


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_no_half_written_folder_and_the_next_run_succeeds(tmp_path, moment):
    assert run_and_stop(tmp_path, MOMENTS[moment], "SIGKILL").returncode == -9
    assert_complete_or_absent(tmp_path)
    assert not (tmp_path / "omniglot_synthetic_packed").exists()
    assert_whole(tmp_path)
    assert not list(tmp_path.glob(".*.data_prep_*"))


@pytest.mark.parametrize("moment", FORCED_MOMENTS)
def test_a_kill_while_replacing_leaves_no_half_written_folder(tmp_path, moment):
    prepare_synthetic_omniglot(tmp_path, num_classes=3)
    stopped = run_and_stop(tmp_path, FORCED_MOMENTS[moment], "SIGKILL", "--force")
    assert stopped.returncode == -9
    assert_complete_or_absent(tmp_path)
    assert_whole(tmp_path)


def test_control_c_ends_with_one_sentence_and_no_leftovers(tmp_path):
    stopped = run_and_stop(tmp_path, ("folders", "resize", 33), "SIGINT")
    assert stopped.returncode == 130
    assert stopped.stderr.count("\n") == 1
    assert "interrupted" in stopped.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".data_prep.lock"]


def test_a_write_the_system_refuses_ends_with_one_sentence(tmp_path):
    limit = 20_000  # bytes a file may have: enough for PNG files, not for the array
    done = subprocess.run(
        [sys.executable, "-m", "data_prep", "omniglot", "--synthetic", "--num_classes", "3"]
        + ["--data_dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert_complete_or_absent(tmp_path)


def test_a_data_dir_that_cannot_be_made_is_said_so(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=r"Cannot read or write `.*file"):
        prepare_synthetic_omniglot(tmp_path / "file", num_classes=1)


def test_a_block_that_raises_leaves_the_old_folder(tmp_path):
    target = tmp_path / "done"
    with building(target) as folder:
        (folder / "old").touch()
    with pytest.raises(KeyboardInterrupt), building(target, replace=True) as folder:
        (folder / "new").touch()
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["done", "old"]


def test_a_symbolic_link_to_the_target_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "target")
    with building(tmp_path / "link") as folder:
        (folder / "file").touch()
    assert (tmp_path / "disk" / "target" / "file").exists()
    assert (tmp_path / "link").is_symlink()


def test_two_processes_do_not_build_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    with exclusive(tmp_path):
        other = context.Process(target=prepare_synthetic_omniglot, args=(tmp_path, 2))
        other.start()
        other.join(timeout=2)
        assert other.is_alive()
        assert not (tmp_path / "omniglot_synthetic_packed").exists()
    other.join(timeout=30)
    assert other.exitcode == 0
    assert np.all(load_packed(tmp_path / "omniglot_synthetic_packed").counts == 20)
