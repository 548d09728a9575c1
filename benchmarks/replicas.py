"""What several replicas cost: seconds of a meta-step, and bytes that each of them sends.

    python -m benchmarks.replicas [--replicas 0 1 2 4] [--rounds 10]

The processor is divided into logical devices, which share its cores: the arithmetic of a meta-batch
stays the same, and what a step takes longer than on one device (0) is the price of dividing it.
Each number of replicas has a process of its own; they take turns. Omniglot's 5-way recipe.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from typing import IO, Any, cast

STEPS = 3  # in a round


def _child(replicas: int) -> None:
    """Builds a learner; then runs `STEPS` meta-steps for each line of standard input."""
    import keras
    import tensorflow as tf

    from benchmarks.meta_step import omniglot
    from mtnet_tf import MetaLearner

    processor = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * max(replicas, 1)
    tf.config.set_logical_device_configuration(processor, logical)
    reduced: list[int] = []
    _count_bytes(tf, reduced)
    names = [f"CPU:{i}" for i in range(replicas)]
    strategy = tf.distribute.MirroredStrategy(names) if replicas else tf.distribute.get_strategy()
    with strategy.scope():
        case = omniglot({})
        learner = MetaLearner(case.network, case.step_size)
    accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    learner.compile("adam", case.loss, metrics=[accuracy])
    options = {"batch_size": case.batch_size, "verbose": 0}
    start = time.perf_counter()
    learner.fit(case.tasks, steps_per_epoch=1, **options)
    parameters = sum(math.prod(v.shape) for v in learner.meta_parameters)
    found = {"first": time.perf_counter() - start, "bytes": sum(reduced), "parameters": parameters}
    _send({**found, "replicas": replicas})
    for _ in sys.stdin:
        start = time.perf_counter()
        learner.fit(case.tasks, steps_per_epoch=STEPS, **options)
        _send({"seconds": (time.perf_counter() - start) / STEPS})


def _count_bytes(tf: Any, reduced: list[int]) -> None:
    """Records the bytes of every reduction of the first replica while it is traced."""
    original = tf.distribute.ReplicaContext.all_reduce

    def all_reduce(self: Any, operation: Any, values: Any, *arguments: Any) -> Any:
        if int(tf.get_static_value(self.replica_id_in_sync_group)) == 0:
            flat = tf.nest.flatten(values)
            reduced.append(sum(math.prod(x.shape) * x.dtype.size for x in flat))
        return original(self, operation, values, *arguments)

    tf.distribute.ReplicaContext.all_reduce = all_reduce


def _send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class _Process:
    """A child process, which answers each line with one line of JSON."""

    def __init__(self, replicas: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.replicas", "--child", str(replicas)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started = self._read()
        self.seconds: list[float] = []

    def _read(self) -> dict[str, Any]:
        return json.loads(cast(IO[str], self._process.stdout).readline())

    def run(self) -> float:
        print(file=self._process.stdin, flush=True)
        return self._read()["seconds"]

    def stop(self) -> None:
        self._process.communicate(timeout=60)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser("python -m benchmarks.replicas", description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        _child(options.child)
        return
    processes = [_Process(count) for count in options.replicas]
    for number in range(options.rounds + 1):
        for process in processes:
            seconds = process.run()
            if number:  # the first round warms up
                process.seconds.append(seconds)
    sys.stdout.write("| replicas | ms per step | quartiles | first step, s | bytes reduced |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for process in processes:
        first, middle, third = (1e3 * q for q in statistics.quantiles(process.seconds, n=4))
        found = process.started
        sys.stdout.write(
            f"| {found['replicas'] or 'one device'} | {middle:.0f} | {first:.0f} – {third:.0f} | "
            f"{found['first']:.0f} | {found['bytes']:,} |\n"
        )
        process.stop()
    sys.stdout.write(f"\n{processes[0].started['parameters']:,} meta-parameters; ")
    sys.stdout.write(f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores\n")


if __name__ == "__main__":
    main()
