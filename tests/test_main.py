"""The command line, as its user types it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtnet_tf.settings import resolve

MAIN = Path(__file__).resolve().parent.parent / "main.py"


def command(*flags, cwd):
    environment = {**os.environ, "PYTHONPATH": str(MAIN.parent)}
    return subprocess.run(
        [sys.executable, str(MAIN), *flags],
        cwd=cwd, capture_output=True, text=True, timeout=280, env=environment, check=False,
    )  # fmt: skip


def test_sinusoid_trains_resumes_and_evaluates(tmp_path):
    flags = [
        "--use_T",
        "--use_M",
        "--dim_hidden=8",
        "--num_test_episodes=40",
        "--jit_compile=False",
    ]
    flags += ["--num_test_updates=3", "--validate_every=20", "--logdir=out"]
    first = command(*flags, "--metatrain_iterations=20", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "out").iterdir()
    assert (
        run.name
        == "sinusoid_10shot_mtnet_tasks4_steps1_alpha0.01_beta0.001_normNone_dim_hidden8_seed0"
    )
    second = command(*flags, "--metatrain_iterations=40", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "Resuming from" in second.stdout and "40 distinct episodes" in second.stdout
    with (run / "test_ubs10_stepsize0.01.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == [f"update{i}" for i in range(4)] and len(rows) == 4
    record = json.loads((run / "test_ubs10_stepsize0.01.json").read_text())
    assert record["num_distinct_episodes"] == 40 and record["split"] == "test"
    assert record["settings"]["meta_batch_size"] == 4
    assert float(rows[1][3]) == pytest.approx(record["query_after_step"]["mean"][3])
    assert len((run / "test_ubs10_stepsize0.01_episodes.csv").read_text().splitlines()) == 41
    # Another step size in evaluation alone, the settings being those of the run.
    tested = command("--train=False", f"--run={run}", "--update_lr=0.02", cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr
    assert (run / "test_ubs10_stepsize0.02.png").is_file()
    assert (run / "test_curves.png").is_file()
    # The newest evaluation against itself.
    compared = command("--compare", str(run), str(run), cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    assert "distinct episodes in common" in compared.stdout
    assert compared.stdout.splitlines()[-1].split()[3] == "+0.000"


def test_synthetic_omniglot_trains_and_says_that_it_is_synthetic(tmp_path):
    from data_prep import prepare_synthetic_omniglot

    prepare_synthetic_omniglot(tmp_path / "data", num_classes=60, progress=False)
    result = command(
        "--datasource=omniglot", "--synthetic", "--use_T", "--use_M", "--num_filters=4",
        "--metatrain_iterations=2", "--num_test_episodes=20", "--num_test_updates=1",
        "--meta_batch_size=2", "--num_classes=3", "--jit_compile=False", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "SYNTHETIC characters, not Omniglot" in result.stdout
    (run,) = (tmp_path / "runs").iterdir()
    assert "omniglot_synthetic_3way" in run.name
    assert json.loads((run / "test_ubs1_stepsize0.4.json").read_text())["synthetic"] is True


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--meta_batch_size=ten"], "flag --meta_batch_size=ten"),
        (["--nonsense"], "Unknown command line flag 'nonsense'"),
        (["--train=False", "--logdir=none"], "No trained run in none/sinusoid"),
        (["omniglot"], "Expected flags only. Received: ['omniglot']"),
        (["--compare=runs/a"], "--compare needs two run folders. Received: ['runs/a']"),
    ],
)
def test_bad_command_is_one_sentence_and_exit_status_2(flags, message, tmp_path):
    result = command(*flags, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"datasource": "cifar"}, "`datasource` must be one of"),
        ({"recipe": "mine"}, "--recipe must be one of"),
        ({"norm": "instance"}, "--norm must be one of"),
        ({"num_updates": -1}, "--num_updates must not be negative. Received: -1"),
        ({"update_lr": 0.0}, "--update_lr must be positive. Received: 0.0"),
        ({"baseline": "oracle", "datasource": "omniglot"}, "--baseline=oracle needs"),
        ({"synthetic": True}, "--synthetic stands in for Omniglot"),
        ({"meta_lr": float("inf")}, "--meta_lr must be positive"),
        ({"train_update_lr": 0.4}, "--train_update_lr .* goes with --train=False"),
        ({"num_queries": -1}, "--num_queries must not be negative"),
        ({"image_size": 0}, "--image_size must be positive"),
        ({"num_train_classes": 0}, "--num_train_classes must be at least 2"),
    ],
)
def test_bad_settings_are_one_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        resolve(given)
