"""Losses of a task: per-example values, reduced over the examples of each task apart."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="mtnet_tf")
class FewShotCrossentropy(keras.losses.Loss):
    """Softmax cross-entropy in the unit of the authors' code: sum over examples / num_shots.

    On a support set of N classes this is N times the mean, so their `update_lr=0.4` at 5 ways is
    a step size of 2.0 on the mean. The query loss is divided by `num_shots` too, whatever the
    number of query examples.
    """

    def __init__(self, num_shots, name="few_shot_crossentropy", **kwargs):
        """Creates the loss.

        Args:
          num_shots: K, labelled examples per class; or a tensor [n], the K of each example.
          name: of the loss.
          **kwargs: Keras' `dtype`.
        """
        kwargs["reduction"] = "sum"
        super().__init__(name=name, **kwargs)
        self.num_shots = num_shots

    def call(self, y_true, y_pred):
        """Per-example values: labels [n] (int), logits [n, N] -> [n]."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y_true, y_pred)
        return losses / tf.cast(self.num_shots, losses.dtype)

    def get_config(self):
        """Arguments to create the loss again."""
        return {**super().get_config(), "num_shots": self.num_shots}


class FirstLogits(keras.losses.Loss):
    """A loss of the first `num_ways` logits: the others take no part in the softmax."""

    def __init__(self, loss, num_ways):
        """Wraps a loss, a `keras.losses.Loss` or a function."""
        is_object = isinstance(loss, keras.losses.Loss)
        super().__init__(reduction=loss.reduction if is_object else "sum_over_batch_size")
        self._examples = loss.call if is_object else loss
        self._num_ways = num_ways

    def call(self, y_true, y_pred):
        """Per-example values of the wrapped loss."""
        return self._examples(y_true, y_pred[..., : self._num_ways])


def task_losses(loss, labels, predictions, num_tasks):
    """The loss of each task.

    Args:
      loss: a `keras.losses.Loss`, whose `reduction` ("sum", else the mean) is applied over the
        examples of a task; or a function (labels, predictions) -> per-example values, averaged.
      labels: [B*n, ...], flattened.
      predictions: [B*n, ...], flattened.
      num_tasks: B.

    Returns:
      Tensor [B], at least float32.

    Raises:
      ValueError: if the loss reduces over examples by itself.
    """
    if predictions.dtype.size < 4:  # half precision is for products, not for sums
        predictions = tf.cast(predictions, tf.float32)
    is_object = isinstance(loss, keras.losses.Loss)
    # `call`, unlike `__call__`, does not reduce over the whole batch, where tasks would mix.
    examples = loss.call(labels, predictions) if is_object else loss(labels, predictions)
    if examples.shape.rank == 0:
        raise ValueError(
            "`loss` must give one value per example. Received: a function that gives a scalar; "
            "leave its reduction out."
        )
    examples = tf.reshape(examples, [num_tasks, -1])  # [B, n]
    if is_object and loss.reduction == "sum":
        return tf.reduce_sum(examples, 1)
    return tf.reduce_mean(examples, 1)


def probabilities(loss, outputs):
    """Probabilities of the classes of a task, from the outputs of a model that minimises `loss`.

    Args:
      loss: Keras loss or function on class numbers.
      outputs: [..., N], of these classes: logits, unless `loss` says probabilities; these may be
        some of a model's, and are then divided by their sum, as `loss` does.

    Returns:
      Tensor [..., N] whose rows sum to 1.
    """
    if output_kind(loss)[0] != "probabilities":
        return tf.nn.softmax(outputs)
    # Keras' losses take no probability for less than this.
    positive = tf.maximum(outputs, keras.config.epsilon())
    return positive / tf.reduce_sum(positive, -1, keepdims=True)


def output_kind(loss):
    """What a model that minimises `loss` gives, and what its labels are.

    Args:
      loss: Keras loss or function.

    Returns:
      Pair ("logits", "probabilities" or "predictions", whether labels are class numbers).
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
        if loss is function:  # by its name, and with its default
            return "probabilities", class_numbers
    return "predictions", False
