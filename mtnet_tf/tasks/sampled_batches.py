"""A task distribution as something Keras can iterate over."""

from typing import NamedTuple

import tensorflow as tf

from mtnet_tf.tasks.episode import TaskDistribution


class SampledBatches(NamedTuple):
    """Batches of tasks that the compiled step itself samples; Keras sees their numbers only.

    Attributes:
      tasks: `TaskDistribution`.
      batch_size: tasks per batch.
      numbers: `tf.data.Dataset` of batch numbers.
    """

    tasks: TaskDistribution
    batch_size: int
    numbers: tf.data.Dataset

    @classmethod
    def of(cls, tasks, batch_size, steps, endless):
        """Batches of a distribution.

        Args:
          tasks: `TaskDistribution`.
          batch_size: tasks per batch.
          steps: batches that will be asked for.
          endless: whether numbers go on after `steps`.

        Raises:
          ValueError: without a batch size or a number of steps.
        """
        if not batch_size or not steps:
            raise ValueError(
                "A TaskDistribution is endless: `batch_size` and the number of steps must be "
                f"given. Received: batch_size={batch_size}, steps={steps}."
            )
        return cls(tasks, batch_size, tf.data.Dataset.range(2**40 if endless else steps))

    def sample(self, seed):
        """One batch, an `Episode` of `batch_size` tasks."""
        return self.tasks.sample(seed, self.batch_size)
