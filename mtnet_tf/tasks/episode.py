"""`Episode`, one sample of a batch of tasks, and `Part`, some of the tasks of a meta-batch."""

from typing import Any, NamedTuple

import tensorflow as tf

# Inputs of a model: a tensor [B, n, ...], or a dict or list of them for a model with several.
Inputs = Any
# A set of examples: (inputs, targets [B, n, ...]) or (inputs, targets, sample weights [B, n]).
Examples = tuple[Any, ...]


class Part(NamedTuple):
    """Consecutive tasks of a meta-batch that is processed in several parts.

    What is random in a task depends on the index of the task in the whole meta-batch. Random
    numbers are therefore drawn for all tasks, and `rows` selects those of the part.

    Attributes:
        first: index of the first task, an int or a scalar tensor.
        size: number of tasks in the part.
        total: number of tasks in the meta-batch.
    """

    first: int | tf.Tensor
    size: int | tf.Tensor
    total: int | tf.Tensor

    def rows(self, values: tf.Tensor) -> tf.Tensor:
        """The part of a tensor with one row per task: [total, ...] -> [size, ...]."""
        return take_rows(values, self.first, self.size)


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
        part: which tasks of a meta-batch these are; None if they are all of it.
    """

    support_x: Inputs
    support_y: tf.Tensor
    query_x: Inputs
    query_y: tf.Tensor
    classes: tf.Tensor | None = None
    support_weight: tf.Tensor | None = None
    query_weight: tf.Tensor | None = None
    part: Part | None = None

    @property
    def support(self) -> Examples:
        """The support set: inputs, targets and, if there are any, sample weights."""
        return _examples(self.support_x, self.support_y, self.support_weight)

    @property
    def query(self) -> Examples:
        """The query set, like `support`."""
        return _examples(self.query_x, self.query_y, self.query_weight)

    def take(self, first: int | tf.Tensor, size: int | tf.Tensor) -> "Episode":
        """The episodes of `size` consecutive tasks, which know their place in the meta-batch."""
        whole = self.part or Part(0, size, tf.shape(self.support_y)[0])
        if self.part is None and self.support_y.shape[0] is not None:
            whole = whole._replace(total=self.support_y.shape[0])
        taken = tf.nest.map_structure(
            lambda x: None if x is None else take_rows(x, first, size), self._replace(part=None)
        )
        return taken._replace(part=Part(whole.first + first, size, whole.total))


def take_rows(values: tf.Tensor, first: int | tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """`values[first : first + size]`, also in programs of XLA that compute `first`."""
    return tf.gather(values, first + tf.range(size))


def _examples(x: Inputs, y: tf.Tensor, sample_weight: tf.Tensor | None) -> Examples:
    return (x, y) if sample_weight is None else (x, y, sample_weight)
