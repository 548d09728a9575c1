"""Checks of labels on the host.

A class number that a model has no output for is not an error in a program compiled with XLA or on a
GPU: the loss is NaN, or that of another class.
"""

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf.meta.loss_shapes import TaskLoss, values_per_example
from mtnet_tf.meta.outputs import Shape, ignored_class, label_kind

# What a label of a binary loss may be.
_BINARY_LABELS = "0 and 1, or probabilities between them"
_HINGE_LABELS = "-1 and 1, or 0 and 1"


def check_labels(
    loss: TaskLoss, labels: np.ndarray, output_shape: Shape, name: str, num_batch_axes: int = 2
) -> None:
    """Raises ValueError unless a loss can be computed from these labels.

    Example:
    >>> loss = keras.losses.SparseCategoricalCrossentropy()
    >>> check_labels(loss, np.array([[0, 1, 4]]), output_shape=(None, 5), name="support_y")

    Args:
        loss: Keras loss, or function.
        labels: [B, n, ...].
        output_shape: shape of the model's outputs, (None, ..., N).
        name: name of the labels, for the message.
        num_batch_axes: number of axes that count examples: 2 for [B, n, ...], 1 for [n, ...].

    Raises:
        ValueError: if labels are class numbers outside 0 to N - 1, have the wrong shape, or are not
            finite. Labels of a function that is not known must only give finite losses.
    """
    expected = tuple(output_shape[1:])
    has_last_axis = getattr(loss, "axis", -1) == -1  # else the classes are not the last axis
    if not labels.size or not expected or expected[-1] is None or not has_last_axis:
        return
    if not np.issubdtype(labels.dtype, np.number) and labels.dtype != np.bool_:
        raise ValueError(
            f"`{name}` must be numbers. Received: labels of type {labels.dtype}. Number the "
            "classes with `np.unique(labels, return_inverse=True)[1]`."
        )
    kind = label_kind(loss)
    shape = labels.shape[num_batch_axes:]
    if kind == "unknown":
        _check_unknown(loss, labels, expected, name, num_batch_axes)
        return
    _check_finite(labels, name)
    if kind == "numbers":
        _check_is_sparse(shape, expected, name)
        _check_class_numbers(labels, expected[-1], ignored_class(loss), name)
    elif kind == "one-hot":
        _check_is_one_hot(shape, expected, name)
    elif kind == "binary":
        _check_range(labels, (labels >= 0) & (labels <= 1), _BINARY_LABELS, name)
    elif kind == "hinge":
        _check_range(labels, np.isin(labels, (-1, 0, 1)), _HINGE_LABELS, name)


def _check_finite(labels: np.ndarray, name: str) -> None:
    wrong = labels.size - int(np.isfinite(labels).sum())
    if wrong:
        raise ValueError(
            f"`{name}` must be finite. Received: {wrong} of {labels.size} values are NaN or "
            "infinite."
        )


def _check_is_sparse(shape: tuple[int, ...], expected: tuple[int | None, ...], name: str) -> None:
    if _fits(shape, expected) and expected[-1] != 1:
        raise ValueError(
            f"`{name}` must be class numbers, because of the loss. Received: labels of shape "
            f"{list(shape)} per example, which seem to be one-hot. Use `labels.argmax(-1)`, or a "
            "loss of one-hot labels such as `CategoricalCrossentropy` or "
            "`FewShotCrossentropy(num_shots, one_hot=True)`."
        )
    if not _fits(shape, expected[:-1]) and not _fits(shape, (*expected[:-1], 1)):
        raise ValueError(
            f"`{name}` must be class numbers of shape {list(expected[:-1])} per example. "
            f"Received: labels of shape {list(shape)} per example."
        )


def _check_is_one_hot(shape: tuple[int, ...], expected: tuple[int | None, ...], name: str) -> None:
    if not _fits(shape, expected):
        raise ValueError(
            f"`{name}` must be one-hot, of shape {list(expected)} per example, because of the "
            f"loss. Received: labels of shape {list(shape)} per example. Use "
            "`keras.ops.one_hot(labels, num_ways)`, or a loss of class numbers such as "
            "`SparseCategoricalCrossentropy`."
        )


def _check_class_numbers(labels: np.ndarray, num_ways: int, ignored: int | None, name: str) -> None:
    numbers = labels if ignored is None else labels[labels != ignored]
    if _are_class_numbers(numbers, num_ways):
        return
    found = np.unique(numbers)
    if np.array_equal(found, found.astype(int)) and found[0] >= 1 and found[-1] == num_ways:
        advice = "Subtract 1."
    else:
        advice = "Number the classes of each task with `np.unique(labels, return_inverse=True)[1]`"
        advice += ", or build a model with more outputs."
    if {-1, 255} & set(found.tolist()) and found[-1] != num_ways:
        advice += " For labels to ignore, use `SparseCategoricalCrossentropy(ignore_class=...)`."
    raise ValueError(
        f"`{name}` must be class numbers from 0 to {num_ways - 1}, because the model has "
        f"{num_ways} outputs. Received: {_summary(found)}. {advice}"
    )


def _check_unknown(
    loss: TaskLoss,
    labels: np.ndarray,
    expected: tuple[int | None, ...],
    name: str,
    num_batch_axes: int,
) -> None:
    """Computes the loss if the labels are suspicious.

    A function may replace NaN and ignore negative numbers, so the labels alone prove nothing.
    """
    num_ways, shape = expected[-1] or 1, labels.shape[num_batch_axes:]
    is_finite = np.isfinite(labels).all()
    may_be_numbers = num_ways != 1 and _fits(shape, expected[:-1])
    if is_finite and (not may_be_numbers or _are_class_numbers(labels, num_ways)):
        return
    if _is_finite_on_host(loss, labels, expected, num_batch_axes):
        return
    _check_finite(labels, name)
    _check_class_numbers(labels, num_ways, None, name)


def _is_finite_on_host(
    loss: TaskLoss, labels: np.ndarray, expected: tuple[int | None, ...], num_batch_axes: int
) -> bool:
    """Whether the loss of some outputs is finite. On a CPU, TensorFlow checks class numbers."""
    flat = labels.reshape(-1, *labels.shape[num_batch_axes:])
    if np.issubdtype(labels.dtype, np.floating):
        flat = flat.astype(keras.config.floatx())
    outputs = np.full([len(flat), *(size or 1 for size in expected)], 0.5, keras.config.floatx())
    try:
        with tf.device("CPU"):
            values = values_per_example(loss, tf.constant(flat), tf.constant(outputs))
            return bool(tf.reduce_all(tf.math.is_finite(values)))
    except Exception:  # whatever a user's function raises for its labels
        return False


def _check_range(labels: np.ndarray, valid: np.ndarray, expected: str, name: str) -> None:
    if not valid.all():
        raise ValueError(
            f"`{name}` must be {expected}, because of the loss. "
            f"Received: {_summary(np.unique(labels))}."
        )


def _are_class_numbers(labels: np.ndarray, num_ways: int) -> bool:
    return bool(np.isin(labels, np.arange(num_ways)).all())


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return tf.TensorShape(shape).is_compatible_with(tf.TensorShape(expected))


def _summary(found: np.ndarray) -> str:
    """The values, or the smallest and the largest ones."""
    values = [str(value) for value in found.tolist()]
    return ", ".join(values if len(values) <= 8 else [*values[:3], "...", *values[-3:]])
