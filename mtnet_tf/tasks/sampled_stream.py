"""Numbered batches of a task distribution, as a `tf.data.Dataset` that Keras iterates over."""

import dataclasses
from collections.abc import Callable
from typing import Self

import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks.episode import Episode
from mtnet_tf.tasks.episode_structure import read_episode
from mtnet_tf.tasks.task_distribution import TaskDistribution

# More batches than any training takes.
_ENDLESS = 2**40


@dataclasses.dataclass(frozen=True)
class SampledBatches:
    """Batches of tasks. Batch i is determined by the run seed, the purpose and i.

    If the distribution can be sampled in-graph, the compiled step does it, and the stream contains
    only numbers. Otherwise the stream contains episodes, which are sampled ahead of the step, while
    the previous step computes.

    Attributes:
        tasks: `TaskDistribution`.
        batch_size: tasks per batch.
        stream: `tf.data.Dataset` that Keras iterates over.
    """

    tasks: TaskDistribution
    batch_size: int
    stream: tf.data.Dataset

    @classmethod
    def of(
        cls,
        tasks: TaskDistribution,
        batch_size: int | None,
        steps: int | None,
        numbers: range | Callable[[], int],
        run_seed: int,
        purpose: seeds.Purpose,
    ) -> Self:
        """Batches of a distribution.

        Args:
            tasks: `TaskDistribution`.
            batch_size: tasks per batch.
            steps: number of batches that will be requested.
            numbers: range of the batch numbers; or, for an endless stream, a function that returns
                the first number, called when the first batch is requested.
            run_seed: seed of the run.
            purpose: `seeds.Purpose`.

        Raises:
            ValueError: without a batch size or a number of steps, or if these are not positive.
        """
        if batch_size is None or steps is None:
            raise ValueError(
                "A TaskDistribution is endless: `batch_size` and the number of steps must be "
                f"given. Received: batch_size={batch_size}, steps={steps}."
            )
        batch_size = seeds.validate_integer("batch_size", batch_size, 1)
        seeds.validate_integer("steps", steps, 1)
        if isinstance(numbers, range):
            stream = tf.data.Dataset.range(numbers.start, numbers.stop)
        else:
            stream = _endless(numbers)
        if not tasks.in_graph:

            def sample(number: tf.Tensor) -> Episode:
                seed = seeds.stateless_seed(run_seed, purpose, number)
                return read_episode(tasks.sample(seed, batch_size))

            stream = stream.map(sample, num_parallel_calls=2).prefetch(2)
        return cls(tasks, batch_size, stream)


def _endless(first: Callable[[], int]) -> tf.data.Dataset:
    """Numbers from `first()` on, which is called when the first of them is requested."""
    start = tf.data.Dataset.from_generator(
        lambda: iter([first()]), output_signature=tf.TensorSpec([], tf.int64)
    )

    def numbers(start: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(start, start + _ENDLESS)

    return start.flat_map(numbers)  # pyright: ignore[reportArgumentType]
