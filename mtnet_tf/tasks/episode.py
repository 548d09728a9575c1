"""`Episode`, one sample of a batch of tasks, and `TaskDistribution`, which draws episodes."""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

# Inputs of a model: a tensor [B, n, ...], or a dict or list of them for a model with several.
Inputs = Any
# A set of examples: (inputs, targets [B, n, ...]) or (inputs, targets, sample weights [B, n]).
Examples = tuple[Any, ...]


class Episode(NamedTuple):
    """Support and query sets of B tasks.

    Attributes:
        support_x: [B, n, ...]; a dict or list of tensors if the model has several inputs.
        support_y: [B, n, ...], class numbers (int) or targets (float).
        query_x: [B, m, ...], like `support_x`.
        query_y: [B, m, ...].
        classes: [B, N], the class of the data set that each label stands for; None if unknown.
        support_weight: [B, n], factors of the losses of the examples; None for 1.
        query_weight: [B, m], likewise.
    """

    support_x: Inputs
    support_y: tf.Tensor
    query_x: Inputs
    query_y: tf.Tensor
    classes: tf.Tensor | None = None
    support_weight: tf.Tensor | None = None
    query_weight: tf.Tensor | None = None

    @property
    def support(self) -> Examples:
        """The support set: inputs, targets and, if there are any, sample weights."""
        return _examples(self.support_x, self.support_y, self.support_weight)

    @property
    def query(self) -> Examples:
        """The query set, like `support`."""
        return _examples(self.query_x, self.query_y, self.query_weight)


def _examples(x: Inputs, y: tf.Tensor, sample_weight: tf.Tensor | None) -> Examples:
    return (x, y) if sample_weight is None else (x, y, sample_weight)


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
