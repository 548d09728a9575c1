"""Losses of a task: values per example, reduced separately over the examples of each task."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import keras
import tensorflow as tf

# A Keras loss, or a function (labels, predictions) that returns one value per example.
TaskLoss = keras.losses.Loss | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


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
    ) -> None:
        """Creates the loss.

        Args:
            num_shots: K, labelled examples per class; or a tensor [n], the K of each example.
            name: name of the loss.
            dtype: dtype or policy of the computation.
        """
        super().__init__(name=name, reduction="sum", dtype=dtype)
        self.num_shots = num_shots

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Values per example: labels [n] (int), logits [n, N] -> [n]."""
        y_true = tf.convert_to_tensor(y_true)
        if not y_true.dtype.is_integer:  # `__call__` of a Keras loss casts labels to its own dtype
            y_true = tf.cast(y_true, tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y_true, y_pred)
        return losses / tf.cast(self.num_shots, losses.dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the loss again."""
        config = {**super().get_config(), "num_shots": self.num_shots}
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
        self._examples = loss.call if is_object else loss
        self._num_ways = num_ways

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Values [n] of the wrapped loss for labels [n, ...] and logits [n, at least N]."""
        first = y_pred[..., : self._num_ways]  # pyright: ignore[reportArgumentType]
        return self._examples(y_true, first)


def task_losses(
    loss: TaskLoss, labels: tf.Tensor, predictions: tf.Tensor, num_tasks: int | tf.Tensor
) -> tf.Tensor:
    """The loss of each task.

    `losses[b] = reduction over i of loss(labels[b, i], predictions[b, i])` (L in eq. 4 and 5).

    Args:
        loss: a `keras.losses.Loss`, whose `reduction` ("sum", else the mean) is applied over the
            examples of a task; or a function (labels, predictions) -> values per example, which are
            averaged.
        labels: [B*n, ...], flattened.
        predictions: [B*n, ...], flattened.
        num_tasks: B.

    Returns:
        Tensor [B], at least float32.

    Raises:
        ValueError: if the loss itself reduces over examples.
    """
    if predictions.dtype.size < 4:  # half precision is for products; sums need more
        predictions = tf.cast(predictions, tf.float32)
    is_object = isinstance(loss, keras.losses.Loss)
    # `call`, unlike `__call__`, does not reduce over the whole batch, which would mix tasks.
    examples = loss.call(labels, predictions) if is_object else loss(labels, predictions)
    if examples.shape.rank == 0:
        raise ValueError(
            "`loss` must return one value per example. Received: a function that returns a scalar; "
            "remove its reduction."
        )
    examples = tf.reshape(examples, [num_tasks, -1])  # [B, n]
    if is_object and loss.reduction == "sum":
        return tf.reduce_sum(examples, 1)
    return tf.reduce_mean(examples, 1)


def probabilities(loss: TaskLoss, outputs: tf.Tensor) -> tf.Tensor:
    """Probabilities of the classes of a task, from the outputs of a model that minimises `loss`.

    Args:
        loss: Keras loss or function on class numbers.
        outputs: [..., N], the outputs of these classes: logits, unless `loss` expects
            probabilities. These may be some of the model's probabilities, and are then divided by
            their sum, as `loss` does.

    Returns:
        Tensor [..., N] whose rows sum to 1.
    """
    if output_kind(loss)[0] != "probabilities":
        return tf.nn.softmax(outputs)
    # Keras' losses clip probabilities at this value.
    positive = tf.maximum(outputs, keras.config.epsilon())
    return positive / tf.reduce_sum(positive, -1, keepdims=True)


def output_kind(
    loss: TaskLoss,
) -> tuple[Literal["logits", "probabilities", "predictions"], bool]:
    """The kind of output of a model that minimises `loss`, and the kind of its labels.

    Args:
        loss: Keras loss or function.

    Returns:
        Pair ("logits", "probabilities" or "predictions"; whether labels are class numbers).
    """
    if isinstance(loss, FewShotCrossentropy):
        return "logits", True
    sparse = (
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
    )
    dense = keras.losses.CategoricalCrossentropy, keras.losses.categorical_crossentropy
    for (kind, function), class_numbers in ((sparse, True), (dense, False)):
        if isinstance(loss, kind):
            return "logits" if loss.get_config()["from_logits"] else "probabilities", class_numbers
        if loss is function:  # given by its name, with its default
            return "probabilities", class_numbers
    return "predictions", False
