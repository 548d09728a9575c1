"""`TaskDistribution`, the interface of what draws episodes."""

import abc
from typing import cast

import tensorflow as tf

from mtnet_tf.tasks.episode import Episode, Part
from mtnet_tf.tasks.episode_structure import read_episode


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

    def sample_part(self, seed: tf.Tensor, part: Part) -> Episode:
        """The episodes that `sample(seed, part.total)` draws for the tasks of a part.

        Override it if episodes are expensive, to create only those of the part.

        Args:
            seed: stateless seed, int32 [2].
            part: `Part`, whose `total` is an int.

        Returns:
            `Episode` of `part.size` tasks.
        """
        whole = read_episode(self.sample(seed, cast(int, part.total)))
        return whole.take(part.first, part.size)
