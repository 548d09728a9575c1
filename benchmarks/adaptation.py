"""Adapting a learner to one task after the other: seconds of each call, and growth of memory.

    python -m benchmarks.adaptation [--calls 100]

Untrained MT-nets: the regression network with 10 shots, and Omniglot's network (28x28, 64 filters)
with 5 classes of one random image each. The first call compiles the adaptation.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from mtnet_tf import FewShotCrossentropy, MetaLearner, networks


def regression(num_inner_steps: int) -> tuple[MetaLearner, np.ndarray, np.ndarray]:
    """A learner and a support set of 10 examples."""
    learner = MetaLearner(networks.regression_network(), 0.01, num_inner_steps)
    learner.compile("adam", "mean_squared_error")
    x = np.linspace(-5, 5, 10, dtype="float32")[:, None]
    return learner, x, np.sin(x)


def omniglot(num_inner_steps: int) -> tuple[MetaLearner, np.ndarray, np.ndarray]:
    """A learner and a support set of 5 images."""
    model = networks.convolutional_network((28, 28, 1), 5)
    learner = MetaLearner(model, 0.4, num_inner_steps)
    learner.compile("adam", FewShotCrossentropy(1))
    x = np.random.default_rng(0).integers(0, 2, (5, 28, 28, 1)).astype("float32")
    return learner, x, np.arange(5)


def measure(function: Callable[[], object], calls: int) -> str:
    """The first call, the median of all later ones, and the memory that they added."""
    start = time.perf_counter()
    function()
    first = time.perf_counter() - start
    function()
    seconds, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(calls):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / calls
    return (
        f"first {first:.2f} s, then {1e3 * np.median(seconds):.1f} ms "
        f"(from {1e3 * min(seconds):.1f}), peak memory +{grown:.1f} KiB per call"
    )


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100)
    calls = parser.parse_args().calls
    for create, steps in ((regression, 1), (regression, 5), (omniglot, 1), (omniglot, 5)):
        learner, x, y = create(steps)
        for name, function in {
            "adapt": lambda learner=learner, x=x, y=y: learner.adapt(x, y),
            "adapt and predict": lambda learner=learner, x=x, y=y: learner.adapt(x, y)(x),
        }.items():
            figures = measure(function, calls)
            sys.stdout.write(f"{create.__name__}, {steps} steps, {name}: {figures}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")


if __name__ == "__main__":
    main()
