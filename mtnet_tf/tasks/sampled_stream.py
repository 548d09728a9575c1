"""A task distribution as something Keras can iterate over."""

from typing import NamedTuple

import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks.episode import TaskDistribution


class SampledBatches(NamedTuple):
    """Batches of tasks, numbered: batch i depends on the run seed, the purpose and i alone.

    What can be sampled in-graph is left to the compiled step, and Keras sees numbers only. Other
    episodes are made ahead of it, while the step before computes.

    Attributes:
      tasks: `TaskDistribution`.
      batch_size: tasks per batch.
      stream: `tf.data.Dataset`, what Keras iterates over.
    """

    tasks: TaskDistribution
    batch_size: int
    stream: tf.data.Dataset

    @classmethod
    def of(cls, tasks, batch_size, steps, numbers, run_seed, purpose):
        """Batches of a distribution.

        Args:
          tasks: `TaskDistribution`.
          batch_size: tasks per batch.
          steps: batches that will be asked for.
          numbers: range of their numbers; or, for an endless stream, a function that gives the
            first of them, called when it is asked for.
          run_seed: int.
          purpose: `seeds.Purpose`.

        Raises:
          ValueError: without a batch size or a number of steps.
        """
        if not batch_size or not steps:
            raise ValueError(
                "A TaskDistribution is endless: `batch_size` and the number of steps must be "
                f"given. Received: batch_size={batch_size}, steps={steps}."
            )
        if callable(numbers):
            stream = _endless(numbers)
        else:
            stream = tf.data.Dataset.range(numbers.start, numbers.stop)
        if not tasks.in_graph:

            def sample(number):
                return tasks.sample(seeds.stateless_seed(run_seed, purpose, number), batch_size)

            stream = stream.map(sample, num_parallel_calls=2).prefetch(2)
        return cls(tasks, batch_size, stream)


def _endless(first):
    start = tf.data.Dataset.from_generator(
        lambda: iter([first()]), output_signature=tf.TensorSpec([], tf.int64)
    )
    return start.flat_map(lambda number: tf.data.Dataset.range(number, number + 2**40))
