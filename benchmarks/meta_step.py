"""Seconds per meta-step, MT-net against MAML, interleaved in one process; and of sampling alone.

    python benchmarks/meta_step.py [--datasource omniglot|miniimagenet|sinusoid] [--steps 30]

The recipes' shapes with random pictures; MiniImagenet's 38,400 training pictures are in a
memory-mapped file, as they are after `data_prep`. A meta-step includes the sampling of its
episodes. Prints the median and minimum of each, the ratio of the medians, and how many times faster
sampling alone is than MT-net's meta-step.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, ImageClasses, MetaLearner, Sinusoids, networks, seeds
from mtnet_tf.tasks import SampledBatches

METHODS = {"mtnet": {}, "maml": {"transform": False, "mask": None}}


class Case(NamedTuple):
    """What to time."""

    network: keras.Model
    step_size: float
    loss: object
    tasks: object
    batch_size: int
    num_inner_steps: int = 1
    per_call: int = 1


def omniglot(cell_options):
    """The Omniglot 5-way recipe; one meta-step per call."""
    images = np.random.default_rng(0).integers(0, 2, (1100 * 20, 28, 28, 1), np.uint8) * 255
    options = {"num_ways": 5, "num_shots": 1, "num_queries": 1, "rotations": True}
    network = networks.convolutional_network((28, 28, 1), 5, cell_options=cell_options)
    tasks = ImageClasses(images, [20] * 1100, **options)
    return Case(network, 0.4, FewShotCrossentropy(1), tasks, 32)


def miniimagenet(cell_options):
    """The MiniImagenet 5-way recipe; one meta-step per call."""
    file = Path(tempfile.gettempdir()) / "mtnet_tf_benchmark_pictures.npy"
    if not file.is_file():
        np.save(file, np.random.default_rng(0).integers(0, 256, (38400, 84, 84, 3), np.uint8))
    network = networks.convolutional_network(
        (84, 84, 3), 5, num_filters=32, max_pool=True, cell_options=cell_options
    )
    options = {"num_ways": 5, "num_shots": 1, "num_queries": 15}
    tasks = ImageClasses(np.load(file, mmap_mode="r"), [600] * 64, **options)
    return Case(network, 0.01, FewShotCrossentropy(1), tasks, 4, num_inner_steps=5)


def sinusoid(cell_options):
    """The sinusoid recipe; 100 meta-steps per call."""
    network = networks.regression_network(cell_options=cell_options)
    return Case(network, 0.01, "mean_squared_error", Sinusoids(), 4, per_call=100)


def stream(case):
    """The batches of a case, as `fit` sees them."""
    numbers = range(2**40)
    purpose = seeds.Purpose.TRAIN_TASKS
    return iter(SampledBatches.of(case.tasks, case.batch_size, 1, numbers, 0, purpose).stream)


def stepper(case):
    """A function that runs `per_call` meta-steps and returns the seconds of one."""
    learner = MetaLearner(case.network, case.step_size, case.num_inner_steps)
    adam = keras.optimizers.Adam(1e-3, epsilon=1e-8)
    learner.compile(adam, case.loss, steps_per_execution=case.per_call)
    # One epoch compiles; afterwards the compiled function is called as `fit` calls it.
    options = {"batch_size": case.batch_size, "steps_per_epoch": case.per_call, "verbose": 0}
    learner.fit(case.tasks, **options)
    batches = stream(case)

    def step():
        start = time.perf_counter()
        logs = learner.train_function(batches)
        float(logs["loss"])  # waits for the result
        return (time.perf_counter() - start) / case.per_call

    return step


def sampling_seconds(case, count=30):
    """Median seconds that sampling alone takes for the batch of a meta-step."""
    if case.tasks.in_graph:
        sample = tf.function(case.tasks.sample, jit_compile=True, autograph=False)
        draws = (sample(tf.constant([0, i]), case.batch_size) for i in range(count + 3))
    else:
        draws = stream(case)
    seconds = []
    for _ in range(count + 3):  # the first ones compile, and fill the queue
        start = time.perf_counter()
        next(draws).support_x.numpy()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:])


CASES = {"omniglot": omniglot, "miniimagenet": miniimagenet, "sinusoid": sinusoid}


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasource", choices=tuple(CASES), default="omniglot")
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    cases = {name: CASES[arguments.datasource](options) for name, options in METHODS.items()}
    sampling = sampling_seconds(cases["mtnet"])
    steppers = {name: stepper(case) for name, case in cases.items()}
    seconds = {name: [] for name in steppers}
    for _ in range(arguments.steps):
        for name, step in steppers.items():
            seconds[name].append(step())
    for name, values in seconds.items():
        line = f"{name:6} median {statistics.median(values):.6f} s, minimum {min(values):.6f} s"
        sys.stdout.write(line + "\n")
    ratio = statistics.median(seconds["mtnet"]) / statistics.median(seconds["maml"])
    cover = statistics.median(seconds["mtnet"]) / sampling
    sys.stdout.write(f"sampling alone {sampling:.6f} s: {cover:.0f} times the need\n")
    sys.stdout.write(f"mtnet / maml {ratio:.3f}, load {os.getloadavg()[0]:.2f}\n")


if __name__ == "__main__":
    main()
