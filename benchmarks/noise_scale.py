"""How many tasks a meta-batch can use: the gradient noise scale of trained learners.

    python -m benchmarks.noise_scale RUN... [--data_dir DIR] [--tasks 32] [--batches 64]

RUN is a run folder of images; its training tasks are drawn again. With the meta-gradient `g` of a
meta-batch of B tasks, `tr(S)` the variance of the gradient of one task, and `G` the true gradient,

    E |g - G|^2 = tr(S) / B          noise scale = tr(S) / |G|^2

(McCandlish et al. 2018, eq. 2.9). Both are estimated without bias from M meta-batches; the interval
is that of a jackknife over them.
"""

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.experiments import Run, load_learner
from mtnet_tf.experiments.data import DataSource
from mtnet_tf.learners import EpisodicLearner
from mtnet_tf.tasks import TaskDistribution, read_episode

# Numbers of meta-batches that no training reaches.
FIRST = 10**8


def meta_gradients(
    learner: EpisodicLearner, tasks: TaskDistribution, num_tasks: int, num_batches: int
) -> np.ndarray:
    """The meta-gradients of different meta-batches, [num_batches, number of meta-parameters]."""

    @tf.function(jit_compile=True, autograph=False)
    def gradient(number: tf.Tensor) -> tf.Tensor:
        seed = seeds.stateless_seed(learner.seed, seeds.Purpose.TRAIN_TASKS, number)
        episode = read_episode(tasks.sample(seed, num_tasks))
        _, gradients = learner.meta_gradients(episode, seed)
        return tf.concat([tf.reshape(g, [-1]) for g in gradients], 0)

    return np.stack([gradient(tf.constant(FIRST + i)).numpy() for i in range(num_batches)])


def noise_scale(products: np.ndarray, num_tasks: int) -> float:
    """tr(S) / |G|^2 from the products [M, M] of the meta-gradients of M meta-batches."""
    count = len(products)
    squares = np.trace(products) / count
    signal = (products.sum() - np.trace(products)) / (count * (count - 1))
    return num_tasks * (squares - signal) / signal


def jackknife(products: np.ndarray, num_tasks: int) -> Iterator[float]:
    """The noise scale without each of the meta-batches."""
    for i in range(len(products)):
        kept = np.delete(np.delete(products, i, 0), i, 1)
        yield noise_scale(kept, num_tasks)


def main() -> None:
    """Prints a row for each run."""
    parser = argparse.ArgumentParser("python -m benchmarks.noise_scale", description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--batches", type=int, default=64)
    options = parser.parse_args()
    sys.stdout.write("| run | iteration | noise scale, tasks |\n|---|---|---|\n")
    for path in options.runs:
        run = Run(path)
        tasks = DataSource(run.settings().replace(data_dir=options.data_dir)).tasks("train")
        learner = load_learner(run.find())
        found = meta_gradients(learner, tasks, options.tasks, options.batches).astype(np.float64)
        products = found @ found.T
        left_out = np.array(list(jackknife(products, options.tasks)))
        error = np.sqrt((len(left_out) - 1) * left_out.var())
        scale = noise_scale(products, options.tasks)
        sys.stdout.write(
            f"| {run.path.name} | {learner.iteration} | {scale:.0f} ± {1.96 * error:.0f} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
