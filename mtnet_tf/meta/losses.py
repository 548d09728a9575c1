"""Losses of a task: values per example, reduced separately over the examples of each task."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import keras_mask
from mtnet_tf.layers import validate_integer
from mtnet_tf.meta.loss_shapes import TaskLoss, values_per_example


@keras.saving.register_keras_serializable(package="mtnet_tf")
class FewShotCrossentropy(keras.losses.Loss):
    """Softmax cross-entropy in the unit of the authors' code: sum over examples / num_shots.

    `sum_i -log(softmax(logits[i])[labels[i]]) / num_shots`, i over the examples of a task.

    On a support set of N classes this is N times the mean. The authors' `update_lr=0.4` at 5 ways
    is therefore a step size of 2.0 on the mean. The query loss is also divided by `num_shots`,
    independently of the number of query examples.

    Example:
    >>> import numpy as np
    >>> loss = FewShotCrossentropy(num_shots=1)
    >>> value = loss(np.array([0, 1]), np.zeros([2, 2], "float32"))  # two examples at log 2 each
    >>> round(float(value), 4)
    1.3863
    """

    def __init__(
        self,
        num_shots: int | tf.Tensor,
        name: str = "few_shot_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        one_hot: bool = False,
    ) -> None:
        """Creates the loss.

        Args:
            num_shots: K, labelled examples per class; or a tensor [n], the K of each example.
            name: name of the loss.
            dtype: dtype or policy of the computation.
            one_hot: whether labels are one-hot (or probabilities of the classes), [n, N]. Otherwise
                they are class numbers of any dtype, [n] or [n, 1].

        Raises:
            ValueError: if `num_shots` is a number that is not a positive integer.
        """
        super().__init__(name=name, reduction="sum", dtype=dtype)
        is_one_number = np.ndim(num_shots) == 0
        self.num_shots = validate_integer("num_shots", num_shots, 1) if is_one_number else num_shots
        self.one_hot = one_hot

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Values per example: labels [n], [n, 1] or one-hot [n, N], logits [n, N] -> [n]."""
        y_true = tf.convert_to_tensor(y_true)
        if self.one_hot:
            if not y_true.shape.is_compatible_with(y_pred.shape):
                raise ValueError(
                    "Labels must be one-hot, of the shape of the logits, because one_hot=True. "
                    f"Received: labels of shape {y_true.shape} for logits of shape {y_pred.shape}."
                )
            y_true = tf.cast(y_true, y_pred.dtype)
            losses = tf.nn.softmax_cross_entropy_with_logits(y_true, y_pred)
        else:
            y_true = self._class_numbers(y_true, y_pred)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y_true, y_pred)
        return losses / tf.cast(self.num_shots, losses.dtype)

    def _class_numbers(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The class numbers [n, ...] in a dtype that TensorFlow's kernels accept."""
        if y_true.shape.rank == y_pred.shape.rank and y_true.shape[-1] == 1:
            y_true = tf.squeeze(y_true, -1)
        if not y_true.shape.is_compatible_with(y_pred.shape[:-1]):
            raise ValueError(
                "Labels must be class numbers, one for each row of logits. Received: labels of "
                f"shape {y_true.shape} for logits of shape {y_pred.shape}. If they are one-hot, "
                "use `FewShotCrossentropy(num_shots, one_hot=True)`."
            )
        return y_true if y_true.dtype in (tf.int32, tf.int64) else tf.cast(y_true, tf.int32)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the loss again."""
        config = {**super().get_config(), "num_shots": self.num_shots, "one_hot": self.one_hot}
        del config["reduction"]  # always the sum
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "FewShotCrossentropy":
        """Creates the loss from `get_config`. Version 0.1.0 also stored the reduction."""
        return cls(**{name: value for name, value in config.items() if name != "reduction"})


class FirstLogits(keras.losses.Loss):
    """A loss of the first `num_ways` logits: the others do not take part in the softmax."""

    def __init__(self, loss: TaskLoss, num_ways: int) -> None:
        """Wraps a loss.

        Args:
            loss: a `keras.losses.Loss`, whose `reduction` is kept; or a function (labels,
                predictions) -> values per example, which are averaged.
            num_ways: N, number of logits that are used.
        """
        is_object = isinstance(loss, keras.losses.Loss)
        super().__init__(reduction=loss.reduction if is_object else "sum_over_batch_size")
        self._loss = loss
        self._num_ways = num_ways

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Values [n] of the wrapped loss for labels [n, ...] and logits [n, at least N]."""
        first = slice(None, self._num_ways)
        if y_true.shape[1:] == y_pred.shape[1:]:  # one-hot labels of all classes
            y_true = y_true[..., first]  # pyright: ignore[reportArgumentType]
        return values_per_example(self._loss, y_true, y_pred[..., first])  # pyright: ignore[reportArgumentType]


def task_losses(
    loss: TaskLoss,
    labels: tf.Tensor,
    predictions: tf.Tensor,
    num_tasks: int | tf.Tensor,
    sample_weight: tf.Tensor | None = None,
) -> tf.Tensor:
    """The loss of each task.

    `losses[b] = reduction over i of loss(labels[b, i], predictions[b, i])` (L in eq. 4 and 5).

    Args:
        loss: a `keras.losses.Loss`, whose `reduction` ("sum", else the mean) is applied over the
            examples of a task; or a function (labels, predictions) -> values per example, which are
            averaged.
        labels: [B*n, ...], flattened.
        predictions: [B*n, ...], flattened. Time steps that Keras has masked do not count.
        num_tasks: B.
        sample_weight: [B, n] or [B, n, 1], factors of the values of the examples, reduced as in
            Keras: the mean divides by the number of examples, unless `reduction` is
            "mean_with_sample_weight".

    Returns:
        Tensor [B], at least float32.

    Raises:
        ValueError: if the loss does not return one value per example, see `values_per_example`.
    """
    mask = keras_mask(predictions)
    if predictions.dtype.size < 4:  # half precision is for products; sums need more
        predictions = tf.cast(predictions, tf.float32)
    values = values_per_example(loss, labels, predictions)
    # Keras attaches a mask to the values of a loss that has an `ignore_class`.
    counted = _counted(values, mask, keras_mask(values))
    values = tf.reshape(values, _shape_of_tasks(values, predictions, num_tasks))  # [B, n * k]
    if counted is not None:
        counted = tf.reshape(tf.cast(counted, values.dtype), tf.shape(values))
        values *= counted
    reduction = loss.reduction if isinstance(loss, keras.losses.Loss) else None
    if sample_weight is not None:
        factors = _repeated(tf.cast(sample_weight, values.dtype), values)
        values *= factors
        if reduction == "mean_with_sample_weight":
            counted = factors if counted is None else factors * counted
    if reduction == "sum":
        return tf.reduce_sum(values, 1)
    return _means(values, counted)


def task_means(
    values: tf.Tensor,
    predictions: tf.Tensor,
    num_tasks: int | tf.Tensor,
    counted: tf.Tensor | None = None,
) -> tf.Tensor:
    """The mean of values over the examples of each task, without masked time steps.

    Args:
        values: [B*n, ...], flattened.
        predictions: [B*n, ...], flattened, to which Keras may have attached a mask.
        num_tasks: B.
        counted: bools [B*n, ...], which values count; None for all.

    Returns:
        Tensor [B].
    """
    counted = _counted(values, keras_mask(predictions), counted)
    values = tf.reshape(values, [num_tasks, -1])
    if counted is None:
        return _means(values, None)
    counted = tf.cast(tf.reshape(counted, [num_tasks, -1]), values.dtype)
    return _means(values * counted, counted)


def _means(values: tf.Tensor, counted: tf.Tensor | None) -> tf.Tensor:
    """The means [B] of values [B, k], divided by the sums of `counted`; None for k."""
    if counted is None:
        return tf.reduce_mean(values, 1)
    return tf.math.divide_no_nan(tf.reduce_sum(values, 1), tf.reduce_sum(counted, 1))


def _counted(
    values: tf.Tensor, mask: tf.Tensor | None, counted: tf.Tensor | None
) -> tf.Tensor | None:
    """Which of the values that count are not masked time steps, as in Keras; None for all."""
    if mask is None or mask.shape.rank > values.shape.rank:
        return counted
    for _ in range(values.shape.rank - mask.shape.rank):  # a value for each output of a step
        mask = tf.expand_dims(mask, -1)
    every = tf.ones_like(values, tf.bool) if counted is None else tf.cast(counted, tf.bool)
    return tf.logical_and(every, mask)


def _shape_of_tasks(
    values: tf.Tensor, predictions: tf.Tensor, num_tasks: int | tf.Tensor
) -> list[int | tf.Tensor]:
    """The shape [B, n * k] of k values for each example.

    If the shapes are known only at run time, a number of values that is not a multiple of the
    number of examples cannot be reshaped to it.
    """
    if values.shape[0] is not None and predictions.shape[0] is not None:
        return [num_tasks, -1]
    num_examples = tf.shape(predictions)[0]
    each = tf.size(values) // num_examples
    return [num_tasks, num_examples // num_tasks * each]


def _repeated(sample_weight: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Weights [B, n] or [B, n, 1] for values [B, n * k], k of each example."""
    sizes = tf.shape(sample_weight)
    each = tf.reshape(values, [sizes[0], sizes[1], -1])  # [B, n, k]
    weights = tf.reshape(sample_weight, [sizes[0], sizes[1], 1])
    return tf.reshape(tf.ones_like(each) * weights, tf.shape(values))
