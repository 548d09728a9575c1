"""An episode: one sample of a task, or of a batch of tasks."""

import abc
from typing import NamedTuple

import tensorflow as tf


class Episode(NamedTuple):
    """Support and query sets of B tasks.

    Attributes:
      support_x: [B, n, ...].
      support_y: [B, n, ...], class numbers (int) or targets (float).
      query_x: [B, m, ...].
      query_y: [B, m, ...].
      classes: [B, N], which class of the data set each label stands for; None where unknown.
    """

    support_x: tf.Tensor
    support_y: tf.Tensor
    query_x: tf.Tensor
    query_y: tf.Tensor
    classes: tf.Tensor | None = None


class TaskDistribution(abc.ABC):
    """A distribution of tasks, sampled statelessly.

    Attributes:
      in_graph: whether a compiled step can sample by itself; else episodes are made ahead of it.
    """

    in_graph = True

    @abc.abstractmethod
    def sample(self, seed, num_tasks):
        """Draws tasks, and one episode of each.

        Args:
          seed: stateless seed, int32 [2].
          num_tasks: B, Python int.

        Returns:
          `Episode`, a function of `seed` alone.
        """
