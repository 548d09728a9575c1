import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def import_with(module, **environment):
    return subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("module", "backend"), [("mtnet_tf", "jax"), ("maml_baselines", "torch"), ("mtnet_tf", "?")]
)
def test_another_backend_of_keras_is_one_clear_error(module, backend):
    done = import_with(module, KERAS_BACKEND=backend)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        f"ImportError: mtnet_tf requires Keras with the backend tensorflow. Received: {backend}. "
        "Set the environment variable KERAS_BACKEND=tensorflow"
    )
    assert done.stderr.count("Traceback") == 1


def test_the_backend_may_come_from_the_configuration_file_of_keras(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    done = import_with("mtnet_tf", **environment)
    assert "Received: jax." in done.stderr.splitlines()[-1]


@pytest.mark.long
@pytest.mark.parametrize(
    "command", [["main.py"], ["-c", "import mtnet_tf_cli"], ["-m", "maml_baselines", "table1"]]
)
def test_a_command_with_another_backend_prints_one_line(command):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    program = {"-m": "maml_baselines"}.get(command[0], command[0])
    assert line.startswith(f"{program}: mtnet_tf requires Keras with the backend tensorflow.")
