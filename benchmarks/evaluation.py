"""Evaluation of Omniglot episodes: seconds with and without compilation.

    python -m benchmarks.evaluation [--episodes 600] [--steps 10]

An untrained MT-net (28x28, 64 filters), 5-way 1-shot with one query per class, on random images.
Both kinds of scores are computed. The time without compilation is the mean of all calls but the
first one, times their number.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mtnet_tf import FewShotCrossentropy, ImageClasses, MetaLearner, evaluate, networks


class TimedLearner(MetaLearner):
    """Measures each call of the compiled function of an evaluation: (seconds, processor time)."""

    def compile_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """See `MetaLearner.compile_function`."""
        compiled = super().compile_function(function)
        object.__setattr__(self, "calls", [])

        def timed(calls: Any) -> Any:
            start, used = time.perf_counter(), time.process_time()
            found = compiled(calls)
            self.calls.append((time.perf_counter() - start, time.process_time() - used))
            return found

        return timed


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    learner = TimedLearner(networks.convolutional_network((28, 28, 1), 5), 0.4)
    learner.compile("adam", FewShotCrossentropy(1))
    images = np.random.default_rng(0).integers(0, 2, (1000, 28, 28, 1), "uint8")
    tasks = ImageClasses(images, [20] * 50, num_ways=5, num_shots=1, num_queries=1)
    start = time.perf_counter()
    evaluate(
        learner,
        tasks,
        num_episodes=arguments.episodes,
        num_inner_steps=arguments.steps,
        verbose=0,
    )
    total = time.perf_counter() - start
    first, *later = learner.calls
    seconds, processor = np.mean(later, 0) * len(learner.calls)
    sys.stdout.write(
        f"{arguments.episodes} episodes in {len(learner.calls)} calls: {total:.1f} s, of which the "
        f"first call, which compiles, took {first[0]:.1f} s\n"
        f"without compilation: {seconds:.1f} s, {processor:.1f} s of processor time\n"
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )


if __name__ == "__main__":
    main()
