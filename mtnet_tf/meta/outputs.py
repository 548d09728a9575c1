"""What the outputs of a model mean, which follows from the loss that it minimises.

A classifier has one output per class, or a single one: with a binary loss, outputs [n, 1] are the
logit, the probability or the score of class 1. A binary loss of several outputs, or of images and
sequences, decides each output independently (multi-label, reconstruction).
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from mtnet_tf.meta.loss_shapes import TaskLoss, is_known
from mtnet_tf.meta.losses import FewShotCrossentropy

Shape = Sequence[int | None] | tf.TensorShape
OutputKind = Literal["logits", "probabilities", "scores", "predictions"]
_Labels = Literal["numbers", "one-hot", "binary", "targets"]

# Class and function of Keras' losses -> the labels they take. A hinge loss has scores.
_LABELS: list[tuple[type[keras.losses.Loss], Any, _Labels]] = [
    (
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
        "numbers",
    ),
    (keras.losses.CategoricalCrossentropy, keras.losses.categorical_crossentropy, "one-hot"),
    (
        keras.losses.CategoricalFocalCrossentropy,
        keras.losses.categorical_focal_crossentropy,
        "one-hot",
    ),
    (keras.losses.CategoricalHinge, keras.losses.categorical_hinge, "one-hot"),
    (keras.losses.BinaryCrossentropy, keras.losses.binary_crossentropy, "binary"),
    (keras.losses.BinaryFocalCrossentropy, keras.losses.binary_focal_crossentropy, "binary"),
    (keras.losses.Hinge, keras.losses.hinge, "binary"),
    (keras.losses.SquaredHinge, keras.losses.squared_hinge, "binary"),
]
_HINGES = (keras.losses.Hinge, keras.losses.SquaredHinge, keras.losses.CategoricalHinge)


def output_kind(loss: TaskLoss, output_shape: Shape | None = None) -> tuple[OutputKind, bool]:
    """The kind of output of a model that minimises `loss`, and the kind of its labels.

    Args:
        loss: Keras loss or function.
        output_shape: shape of the model's outputs, (None, ..., N); None for N > 1 outputs.

    Returns:
        Pair ("logits", "probabilities", "scores" of a hinge loss, or "predictions" of any other;
        whether labels are class numbers).
    """
    kind, labels = _meaning(loss)
    return kind, labels == "numbers" or (labels == "binary" and _is_single(output_shape))


def probabilities(loss: TaskLoss, outputs: tf.Tensor, num_batch_axes: int = 1) -> tf.Tensor:
    """Probabilities of the classes of a task, from the outputs of a model that minimises `loss`.

    Args:
        loss: Keras loss or function.
        outputs: [..., N], the outputs of these classes: logits, unless `loss` expects
            probabilities. These may be some of the model's probabilities, and are then divided by
            their sum, as `loss` does.
        num_batch_axes: number of axes of `outputs` that count examples: 1 for [n, ...], 2 for
            [B, n, ...].

    Returns:
        Tensor [..., N] whose rows sum to 1; [..., 2] for a binary classifier with one output per
        example. If a binary loss has other outputs: the probability of each of them, [..., N].

    Raises:
        ValueError: for a hinge loss, whose scores are not probabilities.
    """
    kind, labels = _meaning(loss)
    if kind == "scores":
        raise ValueError(
            "`loss` must define probabilities, like a cross-entropy. Received: a hinge loss, whose "
            "outputs are scores: the class is the one with the largest score, or class 1 if a "
            "single score is positive."
        )
    single = _is_single(outputs.shape[num_batch_axes - 1 :])
    if labels == "binary" or (single and kind == "predictions"):
        positive = outputs if kind == "probabilities" else tf.sigmoid(outputs)
        return tf.concat([1 - positive, positive], -1) if single else positive
    if kind != "probabilities":
        return tf.nn.softmax(outputs)
    # Keras' losses clip probabilities at this value.
    positive = tf.maximum(outputs, keras.config.epsilon())
    return positive / tf.reduce_sum(positive, -1, keepdims=True)


def predicted_classes(loss: TaskLoss, outputs: tf.Tensor, num_batch_axes: int = 1) -> tf.Tensor:
    """The class with the largest output; for one output, class 1 if it is likelier than class 0.

    Args:
        loss: Keras loss or function.
        outputs: as for `probabilities`, or scores.
        num_batch_axes: as for `probabilities`.

    Returns:
        int32 tensor [...].
    """
    if not _is_single(outputs.shape[num_batch_axes - 1 :]):
        return tf.argmax(outputs, -1, tf.int32)
    threshold = 0.5 if _meaning(loss)[0] == "probabilities" else 0.0
    return tf.cast(tf.squeeze(outputs, -1) > threshold, tf.int32)


def class_numbers(loss: TaskLoss, labels: tf.Tensor, output_shape: Shape) -> tf.Tensor | None:
    """The class numbers that labels stand for.

    Args:
        loss: Keras loss or function.
        labels: [n, ...], as the loss takes them: class numbers, one-hot, or -1 and 1.
        output_shape: shape of the outputs, (n, ..., N).

    Returns:
        Integer tensor [n, ...]; None if the labels are not those of one class: targets of a
        regression, or several labels for each example. For a loss that is not known, integers are
        class numbers.
    """
    kind, labels_of_loss = _meaning(loss)
    single = _is_single(output_shape)
    if labels_of_loss == "one-hot":
        return tf.argmax(tf.cast(labels, tf.float32), -1, tf.int32)
    if labels_of_loss == "binary":
        likelihood = tf.cast(_without_last(labels, output_shape), tf.float32)
        return tf.cast(likelihood > 0.5, tf.int32) if single else None
    if labels_of_loss == "targets" and (not labels.dtype.is_integer or output_shape[-1] == 1):
        return None
    numbers = _without_last(labels, output_shape)
    if labels_of_loss == "targets" and numbers.shape.rank != len(output_shape) - 1:
        return None
    return numbers if numbers.dtype.is_integer else tf.cast(numbers, tf.int32)


def label_kind(
    loss: TaskLoss,
) -> Literal["numbers", "one-hot", "binary", "hinge", "targets", "unknown"]:
    """The labels that a loss takes: "targets" if it is a regression, "unknown" if it is a user's.

    Args:
        loss: Keras loss or function.
    """
    if not is_known(loss):
        return "unknown"
    kind, labels = _meaning(loss)
    return "hinge" if kind == "scores" and labels == "binary" else labels


def ignored_class(loss: TaskLoss) -> int | None:
    """The `ignore_class` of a Keras loss; None if it has none."""
    if isinstance(loss, functools.partial):
        return loss.keywords.get("ignore_class")
    return getattr(loss, "ignore_class", None)


def _without_last(labels: tf.Tensor, output_shape: Shape) -> tf.Tensor:
    """Labels [n, ..., 1] as [n, ...]."""
    has_last = labels.shape.rank == len(output_shape) and labels.shape[-1] == 1
    return tf.squeeze(labels, -1) if has_last else labels


def _is_single(output_shape: Shape | None) -> bool:
    """Whether there is one output per example, (n, 1)."""
    return output_shape is not None and len(output_shape) == 2 and output_shape[-1] == 1


def _meaning(loss: TaskLoss) -> tuple[OutputKind, _Labels]:
    """The kind of outputs and the labels of a loss."""
    if isinstance(loss, FewShotCrossentropy):
        return "logits", "one-hot" if loss.one_hot else "numbers"
    options: dict[str, Any] = {}
    if isinstance(loss, functools.partial):
        loss, options = loss.func, loss.keywords
    for kind, function, labels in _LABELS:
        if isinstance(loss, kind):
            options = loss.get_config()
        elif loss is not function:
            continue
        if issubclass(kind, _HINGES):
            return "scores", labels
        return "logits" if options.get("from_logits") else "probabilities", labels
    return "predictions", "targets"
