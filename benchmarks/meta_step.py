"""Seconds per meta-step, MT-net against MAML, interleaved in one process.

    python benchmarks/meta_step.py [--datasource omniglot|sinusoid] [--steps 30]

Omniglot's shapes with random pictures: 5-way 1-shot, 32 tasks, 64 filters, one inner step, episode
sampling included. Prints the median and minimum of each and the ratio of the medians.
"""

import argparse
import os
import statistics
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, ImageClasses, MetaLearner, Sinusoids, networks

METHODS = {"mtnet": {}, "maml": {"transform": False, "mask": None}}


def omniglot(cell_options):
    """The Omniglot 5-way recipe; one meta-step a call."""
    images = np.random.default_rng(0).integers(0, 2, (1100 * 20, 28, 28, 1), np.uint8) * 255
    options = {"num_ways": 5, "num_shots": 1, "num_queries": 1, "rotations": True}
    network = networks.convolutional_network((28, 28, 1), 5, cell_options=cell_options)
    return network, 0.4, FewShotCrossentropy(1), ImageClasses(images, [20] * 1100, **options), 32, 1


def sinusoid(cell_options):
    """The sinusoid recipe; 100 meta-steps a call."""
    network = networks.regression_network(cell_options=cell_options)
    return network, 0.01, "mean_squared_error", Sinusoids(), 4, 100


def stepper(network, step_size, loss, tasks, batch_size, per_call):
    """A function that makes `per_call` meta-steps and returns the seconds of one."""
    learner = MetaLearner(network, step_size)
    adam = keras.optimizers.Adam(1e-3, epsilon=1e-8)
    learner.compile(adam, loss, steps_per_execution=per_call)
    # One epoch compiles; afterwards the compiled function is called as `fit` calls it.
    learner.fit(tasks, batch_size=batch_size, steps_per_epoch=per_call, verbose=0)
    numbers = iter(tf.data.Dataset.range(2**40))

    def step():
        start = time.perf_counter()
        logs = learner.train_function(numbers)
        float(logs["loss"])  # waits for the result
        return (time.perf_counter() - start) / per_call

    return step


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasource", choices=("omniglot", "sinusoid"), default="omniglot")
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    make = {"omniglot": omniglot, "sinusoid": sinusoid}[arguments.datasource]
    steppers = {name: stepper(*make(options)) for name, options in METHODS.items()}
    seconds = {name: [] for name in steppers}
    for _ in range(arguments.steps):
        for name, step in steppers.items():
            seconds[name].append(step())
    for name, values in seconds.items():
        line = f"{name:6} median {statistics.median(values):.6f} s, minimum {min(values):.6f} s"
        sys.stdout.write(line + "\n")
    ratio = statistics.median(seconds["mtnet"]) / statistics.median(seconds["maml"])
    sys.stdout.write(f"mtnet / maml {ratio:.3f}, load {os.getloadavg()[0]:.2f}\n")


if __name__ == "__main__":
    main()
