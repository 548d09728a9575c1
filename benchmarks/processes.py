"""Processes of contestants: started, timed in turn, checked against ours, and stopped."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.work import Arrays

# Largest difference between gradients, as a fraction of the norm of the whole gradient. Programs in
# float32 agree to 2e-6 until the input of one of millions of ReLUs has another sign in one of them,
# which changes the meta-gradient by about 1e-3. A wrong second derivative changes it by 0.2.
TOLERANCE = 5e-3
# With max pooling, there are twenty times as many such decisions, in each of five inner steps.
MAX_POOLING_TOLERANCE = 3e-2
TF32_TOLERANCE = 5e-2
# The same for every contestant. Freed memory stays with the process, which avoids page faults.
_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000"}
_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


class WorkerError(Exception):
    """A contestant failed; the message is the end of its output."""


class Worker:
    """One contestant in its own process. Use as a context manager."""

    def __init__(self, contestant: str, work: dict[str, Any], tf32: bool = False) -> None:
        """Starts the process, which builds the program and runs its first step.

        Args:
            contestant: name in `CONTESTANTS`, or "matrix_product".
            work: fields of `Work`.
            tf32: products in TF32 on a GPU.

        Raises:
            WorkerError: if it fails.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark")
        self._errors = (Path(self._folder.name) / "errors.txt").open("w+b")
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, **_MEMORY, **_GPU, "PYTHONPATH": path}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        )
        self._result = Path(self._folder.name) / "result.npz"
        spec = {"contestant": contestant, "work": work, "tf32": tf32, "result": str(self._result)}
        try:
            self.started = self._ask(json.dumps(spec))
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Worker":
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stops the process."""
        self.stop()

    def run(self, steps: int) -> dict[str, float]:
        """Runs steps.

        Returns:
            Dict of "seconds" of all steps, "peak", memory in bytes, and "gpu_peak".

        Raises:
            WorkerError: if it fails.
        """
        return self._ask(str(steps))

    def result(self) -> tuple[float, Arrays]:
        """Loss and gradients of the first step."""
        with np.load(self._result) as file:
            gradients = {name: file[name] for name in file.files if name != "loss"}
            return float(file["loss"]), gradients

    def stop(self) -> None:
        """Ends the process; may be called twice."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()
        self._folder.cleanup()

    def _ask(self, line: str) -> dict[str, Any]:
        process: Any = self._process  # its pipes are not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise WorkerError(self._last_words())
        return json.loads(answer)

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        if code == -9:
            return "killed, probably because memory ran out"
        return lines[-1][:200] if lines else f"exit code {code}"


def difference(found: tuple[float, Arrays], expected: tuple[float, Arrays]) -> float:
    """The largest relative difference of a loss and its gradients.

    Args:
        found: loss, and gradients by name.
        expected: the same of the reference.

    Returns:
        The larger of the relative difference of the losses, and of the norm of the difference of
        each gradient as a fraction of the norm of the whole expected gradient. Infinite if names or
        shapes differ, or if a value is not finite.
    """
    (loss, gradients), (expected_loss, references) = found, expected
    shapes = {name: value.shape for name, value in gradients.items()}
    if shapes != {name: value.shape for name, value in references.items()}:
        return float("inf")
    whole = np.sqrt(sum(np.sum(np.square(g, dtype=float)) for g in references.values()))
    parts = [np.linalg.norm(gradients[n] - references[n]) / whole for n in references]
    largest = max(abs(loss / expected_loss - 1), *parts)
    return float(largest) if np.isfinite(largest) else float("inf")
