"""One contestant in its own process, which runs steps on command.

The specification of the work is a line of JSON on the standard input, then each line is a number of
steps, and each answer a line of JSON. What a framework prints goes to the standard error.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import CONTESTANTS, Program
from benchmarks.work import Work, batches, initial_weights

MATRIX_PRODUCT = "matrix_product"  # the worker that measures the machine


def main() -> None:
    """Answers until the standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    spec = json.loads(sys.stdin.readline())
    if spec["contestant"] == MATRIX_PRODUCT:
        program = _MatrixProduct(spec["tf32"])
        answer(operations=program.operations)
    else:
        program = _contestant(answer, spec)
    for line in sys.stdin:
        start = time.perf_counter()
        program.run(int(line))
        seconds = time.perf_counter() - start
        answer(seconds=seconds, peak=peak_memory(), gpu_peak=program.device_memory())


def _contestant(answer: Any, spec: dict[str, Any]) -> Program:
    work = Work(**spec["work"])
    contestant = CONTESTANTS[spec["contestant"]]
    start = time.perf_counter()
    _set_precision(contestant.packages[0], spec["tf32"])
    program = contestant.program(work, initial_weights(work), batches(work))
    ready = time.perf_counter()
    loss, gradients = program.first_step()
    first = time.perf_counter() - ready
    np.savez(spec["result"], loss=np.float64(loss), **gradients)
    device, versions = program.device(), _versions(contestant.packages)
    answer(start=ready - start, first=first, device=device, versions=versions)
    return program


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {name: getattr(sys.modules[name], "__version__", "") for name in packages}


def _set_precision(package: str, tf32: bool) -> None:
    """Products in float32, or in TF32 where a GPU has it."""
    if package == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(tf32)
    elif package == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if tf32 else "float32")
    elif package == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32


class _MatrixProduct:
    """Products of two large square matrices.

    Attributes:
        operations: floating-point operations of one product.
    """

    def __init__(self, tf32: bool) -> None:
        _set_precision("tensorflow", tf32)
        import tensorflow as tf

        side = 8192 if tf.config.list_physical_devices("GPU") else 2048
        self._matrix, self._multiply = tf.random.normal([side, side]), tf.matmul
        self.operations = 2 * side**3
        self.run(2)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            product = self._multiply(self._matrix, self._matrix)
        float(product[0, 0])  # waits for the result

    def device_memory(self) -> int:
        return 0


def peak_memory() -> int:
    """Peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # unlike `getrusage`, without the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
