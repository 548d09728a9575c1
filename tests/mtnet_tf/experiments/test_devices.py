"""Runs on several devices and in several processes, which give the results of one device."""

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf.experiments import Devices, Settings

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [
    *(sys.executable, "main.py", "--datasource=sinusoid", "--use_T", "--use_M", "--log=False"),
    *("--dim_hidden=4", "--meta_batch_size=3", "--num_test_episodes=5", "--num_test_updates=1"),
    *("--validate_every=10", "--jit_compile=False", "--compilation_cache=off"),
]
# Float32 metrics, after meta-steps whose gradients are summed in another order.
ROUNDING = 1e-5


def start(folder, *options, config=None):
    environment = {**os.environ, **({"TF_CONFIG": json.dumps(config)} if config else {})}
    return subprocess.Popen(
        [*COMMAND, f"--run={folder}", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def finish(process, status=0):
    output = process.communicate(timeout=300)[0]
    assert process.returncode == status, output
    return output


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(v) for n, v in r.items() if "seconds" not in n] for r in rows])


def score(folder):
    (path,) = folder.glob("test_*.json")
    return json.loads(path.read_text())["query_after_step"]["mean"]


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_workers_must_be_described_by_tf_config(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match="`distribute=multi_worker` requires .* TF_CONFIG"):
        Devices.of("multi_worker")


def test_a_processor_cannot_be_divided_after_it_was_used():
    assert len(tf.config.list_logical_devices("CPU")) == 1  # which starts TensorFlow
    assert Devices().agree(3) == 3
    with pytest.raises(ValueError, match="`num_devices` must be set before TensorFlow"):
        Devices.of("mirrored", 2)


def test_a_number_of_devices_requires_mirrored_devices():
    with pytest.raises(ValueError, match="`num_devices` requires `distribute=mirrored`"):
        Settings(num_devices=2)
    with pytest.raises(ValueError, match="`distribute` must be one of none, mirrored, multi_work"):
        Settings(distribute="horovod")


@pytest.mark.long
def test_a_run_continues_on_another_number_of_devices(tmp_path):
    two = ["--distribute=mirrored", "--num_devices=2"]
    finish(start(tmp_path / "found", "--metatrain_iterations=20", *two))
    output = finish(start(tmp_path / "found", "--metatrain_iterations=30"))
    assert "Resuming from" in output
    finish(start(tmp_path / "expected", "--metatrain_iterations=30"))
    found, expected = metrics(tmp_path / "found"), metrics(tmp_path / "expected")
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)


def workers(folder, *options):
    """Starts two workers on this machine, the chief first."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    configs = [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}} for i in (0, 1)
    ]
    options = ["--distribute=multi_worker", *options]
    return [start(folder, *options, config=config) for config in configs]


@pytest.mark.long
def test_workers_continue_after_one_of_them_was_killed(tmp_path):
    folder = tmp_path / "found"
    chief, other = workers(folder, "--metatrain_iterations=100000")
    deadline = time.monotonic() + 300
    while not (folder / "checkpoints" / "iteration_00000020.keras").exists():
        assert time.monotonic() < deadline and chief.poll() is None
        time.sleep(0.2)
    other.send_signal(signal.SIGKILL)
    assert "Start all workers again with the same command" in finish(chief, status=75)
    finish(other, status=-signal.SIGKILL)
    (reached,) = {len(metrics(folder)) * 10}
    total = f"--metatrain_iterations={reached + 10}"
    chief, other = workers(folder, total)
    assert "Resuming from" in finish(chief)
    assert finish(other) == ""
    finish(start(tmp_path / "expected", total))
    found, expected = metrics(folder), metrics(tmp_path / "expected")
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)
    np.testing.assert_allclose(score(folder), score(tmp_path / "expected"), rtol=ROUNDING)
