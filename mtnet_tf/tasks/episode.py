"""`Episode`, one sample of a batch of tasks, and `TaskDistribution`, which draws episodes."""

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
        classes: [B, N], the class of the data set that each label stands for; None if unknown.
    """

    support_x: tf.Tensor
    support_y: tf.Tensor
    query_x: tf.Tensor
    query_y: tf.Tensor
    classes: tf.Tensor | None = None


class TaskDistribution(abc.ABC):
    """Interface of a distribution of tasks. The seed determines the sample; there is no state.

    Example:
    >>> class Lines(TaskDistribution):  # y = a x, with another slope a in each task
    ...     def sample(self, seed, num_tasks):
    ...         x = tf.random.stateless_uniform([num_tasks, 10, 1], seed)
    ...         y = x * tf.random.stateless_uniform([num_tasks, 1, 1], seed + 1)
    ...         return Episode(x[:, :5], y[:, :5], x[:, 5:], y[:, 5:])

    Attributes:
        in_graph: whether a compiled step can call `sample` itself. If False, episodes are sampled
            ahead of the step, outside the compiled program.
        num_shots: K, support examples per class, or per task in regression.
        num_queries: Q, query examples per class, or per task in regression.
    """

    in_graph: bool = True
    num_shots: int
    num_queries: int

    @abc.abstractmethod
    def sample(self, seed: tf.Tensor, num_tasks: int) -> Episode:
        """Draws tasks and one episode of each.

        Args:
            seed: stateless seed, int32 [2].
            num_tasks: B.

        Returns:
            `Episode`, determined by the arguments.
        """
