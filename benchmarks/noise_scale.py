"""How many tasks a meta-batch needs: the gradient noise scale of trained learners.

    python -m benchmarks.noise_scale RUN... [--data_dir DIR] [--tasks 64] [--batches 16]

RUN is a run folder of images, whose training tasks are drawn again. With the meta-gradient `g_B` of
B tasks, `tr(S)` the variance of the gradient of a task and `G` the true gradient,

    E |g_B|^2 = |G|^2 + tr(S) / B          noise scale = tr(S) / |G|^2

(McCandlish et al. 2018, appendix A.1), estimated from B = 1 and B = `--tasks`. A meta-batch much
smaller than the noise scale wastes little; a much larger one hardly saves iterations.
"""

import argparse
import sys

import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.experiments import Run, load_learner
from mtnet_tf.experiments.data import DataSource
from mtnet_tf.tasks import read_episode


def squared_norms(learner, tasks, num_tasks, numbers):
    """|g_B|^2 of one meta-batch for each number."""

    @tf.function(jit_compile=True, autograph=False)
    def squared_norm(number):
        seed = seeds.stateless_seed(learner.seed, seeds.Purpose.TRAIN_TASKS, number)
        episode = read_episode(tasks.sample(seed, num_tasks))
        _, gradients = learner.meta_gradients(episode, seed)
        return tf.add_n([tf.reduce_sum(tf.square(tf.cast(g, tf.float64))) for g in gradients])

    return np.array([squared_norm(tf.constant(n)).numpy() for n in numbers])


def noise_scale(one, many, num_tasks):
    """(noise scale, |G|^2, tr(S)) from the means of |g_1|^2 and |g_B|^2."""
    variance = (one - many) / (1 - 1 / num_tasks)
    signal = (num_tasks * many - one) / (num_tasks - 1)
    return variance / signal, signal, variance


def main() -> None:
    """Prints a row for each run, with a bootstrap interval of the noise scale."""
    parser = argparse.ArgumentParser("python -m benchmarks.noise_scale", description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--batches", type=int, default=16)
    options = parser.parse_args()
    sys.stdout.write(
        "| run | iteration | noise scale, tasks | 95 % interval |\n|---|---|---|---|\n"
    )
    for path in options.runs:
        run = Run(path)
        tasks = DataSource(run.settings().replace(data_dir=options.data_dir)).tasks("train")
        learner = load_learner(run.find())
        start = 10**6  # tasks that were not used in training
        many = squared_norms(learner, tasks, options.tasks, range(start, start + options.batches))
        singles = options.tasks * options.batches // 2
        one = squared_norms(learner, tasks, 1, range(2 * start, 2 * start + singles))
        rng = np.random.default_rng(0)
        drawn = [
            noise_scale(
                rng.choice(one, one.size).mean(), rng.choice(many, many.size).mean(), options.tasks
            )[0]
            for _ in range(2000)
        ]
        low, high = np.percentile(drawn, [2.5, 97.5])
        scale = noise_scale(one.mean(), many.mean(), options.tasks)[0]
        sys.stdout.write(
            f"| {run.path.name} | {learner.iteration} | {scale:.0f} | {low:.0f} – {high:.0f} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
