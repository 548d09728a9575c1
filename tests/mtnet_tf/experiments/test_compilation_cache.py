"""The cache of compiled programs: when it is used, and that it does not change results."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mtnet_tf.experiments import Run, Settings, compilation_cache, load_learner

MAIN = Path(__file__).resolve().parents[3] / "main.py"
FLAGS = "TF_XLA_FLAGS"


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Uses a cache as a command does; returns (notes, TF_XLA_FLAGS afterwards)."""
    monkeypatch.setattr(compilation_cache, "_stores", {})
    monkeypatch.setattr(compilation_cache.atexit, "register", lambda close, store: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))

    def run(place=None, flags=""):
        monkeypatch.setenv(FLAGS, flags)
        notes = []
        compilation_cache.start_compilation_cache(place and str(place), notes.append)
        compilation_cache.load_compiled_programs(Settings(), notes.append)
        return notes, os.environ[FLAGS]

    return run


def test_the_flag_names_the_folder(use, tmp_path):
    notes, flags = use(tmp_path / "my cache")
    (private,) = (tmp_path / "my cache").glob(".process.*")
    assert not notes and flags == f'--tf_xla_persistent_cache_directory="{private}"'


def test_the_default_is_in_the_users_cache_folder(use, tmp_path):
    _, flags = use()
    assert str(compilation_cache.default_folder()) in flags
    if sys.platform == "linux":
        assert (tmp_path / "xdg/mtnet_tf/compiled_programs").is_dir()


def test_off_uses_no_cache(use, tmp_path):
    assert use("off") == ([], "")
    assert not list(tmp_path.iterdir())


def test_other_flags_of_the_user_are_kept(use, tmp_path):
    flags = use(tmp_path / "cache", "--tf_xla_clustering_debug")[1]
    assert flags.startswith("--tf_xla_clustering_debug --tf_xla_persistent_cache_directory=")


@pytest.mark.parametrize("flags", ["--tf_xla_persistent_cache_directory=/mine", "flags.txt"])
def test_a_cache_of_the_user_and_a_file_of_flags_are_left_alone(flags, use, tmp_path):
    assert use(tmp_path / "cache", flags) == ([], flags)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_noted(use, tmp_path):
    (tmp_path / "file").touch()
    (note,), flags = use(tmp_path / "file")
    assert note.startswith(f"Compiled programs are not kept in {tmp_path / 'file'}: ")
    assert flags == ""


def test_a_full_disk_is_noted(use, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=3 * 2**20)
    monkeypatch.setattr(compilation_cache.shutil, "disk_usage", lambda _: usage)
    (note,), flags = use(tmp_path / "cache")
    assert note.endswith("only 3 MB are free.") and flags == ""


def test_a_program_that_cannot_be_stored_is_noted_once(use, tmp_path, capsys):
    use(tmp_path / "cache")
    (store,) = compilation_cache._stores
    (store.private / "xla_compile_cache__1__2__XLA_CPU_JIT.pb").mkdir()  # cannot be read
    compilation_cache.store_compiled_programs()
    compilation_cache.store_compiled_programs()
    assert capsys.readouterr().out.count("Compiled programs are not kept: ") == 1


def test_the_key_depends_on_versions_processor_and_options(monkeypatch):
    def key(flags="", **options):
        return compilation_cache._key(Settings(**options), flags)

    first = key()
    assert key() == key(seed=3) == first
    changed = [key(allow_tf32=True), key("--tf_xla_clustering_debug")]
    for name, value in {
        "versions": {"tensorflow": "0"},
        "_processor": ["another"],
        "_number_of_cores": 77,
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(compilation_cache, name, lambda value=value: value)
            changed.append(key())
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    assert len({first, *changed, key()}) == 7


def train(folder, *flags):
    """Trains MAML with `main.py` and XLA; returns all numbers of the last checkpoint."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(MAIN.parent), FLAGS: ""}
    arguments = ["--dim_hidden=4", "--metatrain_iterations=3", "--meta_batch_size=2", "--nolog"]
    arguments += ["--num_test_episodes=2", "--num_test_updates=1", f"--run={folder / 'run'}"]
    command = [sys.executable, str(MAIN), *arguments, *flags]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "are not kept" not in done.stdout
    learner = load_learner(Run(folder / "run").latest())
    return [v.numpy() for v in learner.variables + learner.optimizer.variables]


@pytest.mark.long
def test_results_are_the_same_bits_with_and_without_cache(tmp_path):
    def entries():
        return sorted((tmp_path / "cache").glob("*/xla_compile_cache__*"))

    expected = train(tmp_path / "off", "--compilation_cache=off")
    cold = train(tmp_path / "cold", f"--compilation_cache={tmp_path / 'cache'}")
    damaged, *intact = compiled = entries()
    damaged.write_bytes(damaged.read_bytes()[:-100])
    warm = train(tmp_path / "warm", f"--compilation_cache={tmp_path / 'cache'}")
    # The damaged program was compiled and stored again, and no other one was compiled.
    assert intact and set(intact) < set(entries())
    assert [path.stem for path in entries()] == [path.stem for path in compiled]
    assert not list((tmp_path / "cache").glob(".process.*"))
    for values in (cold, warm):
        for value, wanted in zip(values, expected, strict=True):
            np.testing.assert_array_equal(value, wanted)
