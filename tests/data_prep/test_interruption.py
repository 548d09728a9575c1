"""Folders are complete or absent whenever the process is killed."""

import multiprocessing
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep import (
    DataError,
    load_packed,
    prepare_synthetic_miniimagenet,
    prepare_synthetic_omniglot,
)
from data_prep.io import building, exclusive
from data_prep.miniimagenet import prepare, synthetic
from support.archives import write_folder
from support.faults import pets

ROOT = Path(__file__).parents[2]
# Runs the command line with a function that does the same as before, but sends the process a signal
# at its n-th call.
SCRIPT = """
import os, pathlib, signal, sys
from data_prep.omniglot import folders as omniglot_folders
from data_prep.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
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
FORCED_MOMENTS = {f"rename {nth}": ("Path", "rename", nth) for nth in (1, 2, 3, 4)}


def run_and_stop(data_dir, moment, signal_name, *options):
    command = [sys.executable, "-c", SCRIPT, *map(str, moment), signal_name, *options]
    return subprocess.run(
        [*command, "--data_dir", str(data_dir)], cwd=ROOT, capture_output=True, text=True
    )


def assert_whole(data_dir):
    """Asserts that a later run creates everything."""
    folder = prepare_synthetic_omniglot(data_dir, num_classes=3)
    assert load_packed(folder, verify=True).images.shape == (60, 28, 28, 1)
    assert len(list((data_dir / "omniglot_synthetic_resized").glob("*/*/*.png"))) == 60


def assert_complete_or_absent(data_dir):
    resized = data_dir / "omniglot_synthetic_resized"
    assert not resized.exists() or len(list(resized.glob("*/*/*.png"))) == 60
    packed = data_dir / "omniglot_synthetic_packed"
    assert not packed.exists() or len(load_packed(packed, verify=True).images) == 60


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


FULL = {
    "omniglot": "--synthetic --num_classes 3 --data_dir {}",
    "miniimagenet": "--synthetic --num_classes 1 1 1 --per_class 2 --data_dir {}",
    "folder": "--source PETS --image_size 84 --packed_dir {}",
}


@pytest.mark.parametrize("command", FULL)
def test_a_write_that_fails_ends_with_one_sentence(tmp_path, command):
    limit = 20_000  # bytes a file may have: enough for images, not for the array
    write_folder(tmp_path / "pets", pets())
    results = tmp_path / "results"
    options = FULL[command].replace("PETS", str(tmp_path / "pets")).replace("{}", str(results))
    done = subprocess.run(
        [sys.executable, "-m", "data_prep", command, *options.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert not list(results.glob("*_packed"))
    assert not list(results.glob("pets*"))
    assert not list(results.glob(".*.data_prep*"))


def test_a_data_dir_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=r"Cannot read or write `.*file"):
        prepare_synthetic_omniglot(tmp_path / "file", num_classes=1)


def test_a_block_that_raises_keeps_the_old_folder(tmp_path):
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


# Operations per kill, number of images, options. All three pass with a step of 1 too, which takes a
# minute.
EVERYWHERE = {
    "omniglot": ("8", "40", "--synthetic --num_classes 2 --data_dir {}"),
    "miniimagenet": ("3", "4", "--synthetic --num_classes 2 1 1 --per_class 1 --data_dir {}"),
    "folder": ("2", "6", "--source PETS --image_size 4 --packed_dir {}"),
}


@pytest.mark.parametrize("command", EVERYWHERE)
def test_a_kill_at_any_file_operation_leaves_whole_folders(tmp_path, command):
    step, num_images, options = EVERYWHERE[command]
    write_folder(tmp_path / "pets", pets())
    options = options.replace("PETS", str(tmp_path / "pets")).split()
    script = [str(ROOT / "tests" / "support" / "kill_points.py"), str(tmp_path), step, num_images]
    done = subprocess.run(
        [sys.executable, *script, command, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split()[-1]) > 8


def test_an_interrupted_preparation_is_resumed(tmp_path, monkeypatch):
    options = {"num_classes": (2, 1, 1), "per_class": 2, "workers": 1, "progress": False}
    draw, drawn, faulty = synthetic.draw_texture, [], [(2, 2)]

    def draw_or_stop(seed, k, number):
        if (k, number) in faulty:
            raise KeyboardInterrupt
        drawn.append((k, number))
        return draw(seed, k, number)

    monkeypatch.setattr(prepare, "draw_texture", draw_or_stop)
    with pytest.raises(KeyboardInterrupt):
        prepare_synthetic_miniimagenet(tmp_path, **options)
    assert not list(tmp_path.glob("[!.]*"))
    assert {(0, 1), (0, 2), (1, 1), (1, 2)} <= set(drawn)

    drawn.clear()
    faulty.clear()
    folder = prepare_synthetic_miniimagenet(tmp_path, **options)
    assert sorted(drawn) == [(2, 1), (2, 2), (3, 1), (3, 2)]
    assert len(load_packed(folder / "train", verify=True).images) == 4
    assert [path.name for path in tmp_path.glob(".*")] == [".data_prep.lock"]


def test_other_settings_do_not_resume_an_interrupted_preparation(tmp_path, monkeypatch):
    options = {"num_classes": (1, 1, 1), "per_class": 2, "workers": 1}

    def only_the_first_class(seed, k, number, draw=synthetic.draw_texture):
        if k > 0:
            raise KeyboardInterrupt
        return draw(seed, k, number)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prepare, "draw_texture", only_the_first_class)
        prepare_synthetic_miniimagenet(tmp_path, seed=1, **options)
    folder = prepare_synthetic_miniimagenet(tmp_path, seed=2, **options)
    expected = prepare_synthetic_miniimagenet(tmp_path / "other", seed=2, **options)
    np.testing.assert_array_equal(
        load_packed(folder / "train").images, load_packed(expected / "train").images
    )
