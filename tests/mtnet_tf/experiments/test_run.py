"""One process at a time writes into a run folder, and reading needs no lock."""

import os
import shutil

import pytest

from data_prep.io import InUseError
from mtnet_tf.experiments import evaluate_run, run_folder, train_run
from mtnet_tf.experiments.build import build_learner
from mtnet_tf.experiments.flags import resolve

SETTINGS = resolve(
    {
        "hidden_units": 4,
        "meta_batch_size": 50,
        "num_inner_steps": 1,
        "num_meta_iterations": 2,
        "num_test_episodes": 20,
        "num_test_inner_steps": 1,
        "run_eagerly": True,
        "write_summaries": False,
    }
)


def train(run, **changes):
    lines = []
    settings = SETTINGS.replace(**changes)
    train_run(settings, run, "command", build_learner, say=lines.append, verbose=0)
    return lines


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = run_folder.Run(tmp_path_factory.mktemp("trained"))
    train(run)
    return run.path


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a trained run."""
    return run_folder.Run(shutil.copytree(trained, tmp_path / "run"))


def test_a_second_writer_is_told_which_process_is_the_first(run):
    before = sorted(run.path.rglob("*"))
    message = rf"Process {os.getpid()} on .* is writing to `{run.path}`\. Wait until"
    with run.writing():
        for write in (
            lambda: train(run),
            lambda: train(run, resume=False),
            lambda: evaluate_run(SETTINGS, run, verbose=0),
        ):
            with pytest.raises(InUseError, match=message):
                write()
        assert sorted(run.path.rglob("*")) == before
        # Readers are not disturbed.
        assert run.find().name == "best.keras" and run.rows()[-1]["iteration"] == 2
    evaluate_run(SETTINGS, run, say=lambda text: None, verbose=0)


def test_training_again_from_the_start_keeps_the_earlier_run(run):
    lines = train(run, resume=False, num_meta_iterations=3)
    aside = run.path.with_name("run.old1")
    assert lines[0] == f"The earlier run is kept in {aside}"
    assert run_folder.Run(aside).num_iterations() == 2 and run.num_iterations() == 3
    with run.writing():  # the lock is that of the new folder
        assert (run.path / ".run.lock").is_file()


def test_a_best_checkpoint_of_an_unknown_run_is_not_overwritten(run):
    run.latest().unlink()
    best = run.best.read_bytes()
    assert "run.old1" in train(run)[0]
    aside = run_folder.Run(run.path.with_name("run.old1"))
    assert aside.best.read_bytes() == best


def test_evaluating_nothing_creates_nothing(tmp_path):
    run = run_folder.Run(tmp_path / "nothing")
    with pytest.raises(ValueError, match="No trained run in"):
        evaluate_run(SETTINGS, run)
    assert not run.path.exists()
