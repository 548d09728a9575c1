"""Normalisation with exact derivatives of every order, unlike `tf.nn.moments`."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def moments(
    x: tf.Tensor, axis: int | Sequence[int], counted: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and biased variance, `mean(square(x - mean(x)))`.

    Args:
        x: tensor.
        axis: axis or axes of the statistics.
        counted: bools of the shape of `x`, the entries that count; None for all. Where none
            counts, mean and variance are 0.

    Returns:
        Pair of tensors, at least float32, with the reduced axes kept.
    """
    x = _at_least_float32(x)
    if counted is None:
        mean = tf.reduce_mean(x, axis, keepdims=True)
        return mean, tf.reduce_mean(tf.square(x - mean), axis, keepdims=True)
    count = tf.reduce_sum(tf.cast(counted, x.dtype), axis, keepdims=True)

    def mean_of(values: tf.Tensor) -> tf.Tensor:
        values = tf.where(counted, values, tf.zeros_like(values))
        return tf.reduce_sum(values, axis, keepdims=True) / tf.maximum(count, 1)

    # A masked entry may be infinite: it is replaced before it is squared, so that its gradient,
    # too, is zero and not NaN.
    x = tf.where(counted, x, tf.zeros_like(x))
    mean = mean_of(x)
    return mean, mean_of(tf.square(x - mean))


def standardize(x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, epsilon: float) -> tf.Tensor:
    """`(x - mean) / sqrt(variance + epsilon)`.

    Args:
        x: tensor.
        mean: at least float32; broadcasts against `x`.
        variance: of the shape and dtype of `mean`.
        epsilon: added to the variance.

    Returns:
        Tensor like `x`.
    """
    centred = tf.cast(x, mean.dtype) - mean
    scale = tf.math.rsqrt(variance + tf.constant(epsilon, variance.dtype))
    return tf.cast(centred * scale, x.dtype)


def standardize_by_own(x: tf.Tensor, axis: int | Sequence[int], epsilon: float) -> tf.Tensor:
    """`standardize(x, *moments(x, axis), epsilon)`, with its derivative in closed form.

    The closed form needs fewer passes over the tensor, and so do its own derivatives. With
    y the result and s = 1 / sqrt(variance + epsilon), the derivative in direction d is

        s (d - mean(d) - y mean(d y)).

    Args:
        x: tensor.
        axis: axis or axes of the statistics.
        epsilon: added to the variance.

    Returns:
        Tensor like `x`.
    """
    return tf.cast(_standardized_and_scale(_at_least_float32(x), axis, epsilon)[0], x.dtype)


def _standardized_and_scale(
    x: tf.Tensor, axis: int | Sequence[int], epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """The standardised tensor and the factor s, whose derivatives contain the two again."""

    def mean(values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(values, axis, keepdims=True)

    @tf.custom_gradient
    def function(x: tf.Tensor) -> Any:
        centred = x - mean(x)
        scale = tf.math.rsqrt(mean(tf.square(centred)) + tf.constant(epsilon, x.dtype))

        def gradient(of_y: tf.Tensor, of_scale: tf.Tensor) -> tf.Tensor:
            # Calling the function again, which is computed once, gives derivatives of this
            # expression the same form.
            y, scale = _standardized_and_scale(x, axis, epsilon)
            count = tf.cast(tf.size(x) / tf.size(scale), x.dtype)
            projected = mean(of_y * y) + scale * of_scale / count
            return scale * (of_y - mean(of_y) - y * projected)

        return (centred * scale, scale), gradient

    return function(x)


def add_offset(x: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """`x + offset`, where the gradient of the offset is first averaged over each example.

    One sum over all axes but the last takes ten times as long in a program of XLA on a CPU.

    Args:
        x: [n, ..., C].
        offset: [C].

    Returns:
        Tensor like `x`.
    """

    @tf.custom_gradient
    def function(x: tf.Tensor, offset: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            channels: Any = x.shape[-1]
            per_example = tf.reshape(upstream, [tf.shape(x)[0], -1, channels])
            count = tf.cast(tf.shape(per_example)[1], x.dtype)
            return upstream, tf.reduce_sum(count * tf.reduce_mean(per_example, 1), 0)

        return x + offset, gradient

    return function(x, offset)


def _at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """Squares overflow in half precision."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def normalize(
    x: tf.Tensor,
    mean: tf.Tensor,
    variance: tf.Tensor,
    epsilon: float,
    gamma: tf.Tensor | None = None,
    beta: tf.Tensor | None = None,
) -> tf.Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, in the order of operations of Keras.

    A layer that replaces one of Keras' layers therefore gives bit-identical outputs.

    Args:
        x: tensor.
        mean: at least float32; broadcasts against `x`, like the following arguments.
        variance: of the dtype of `mean`.
        epsilon: added to the variance.
        gamma: of the dtype of `mean`, or None.
        beta: of the dtype of `mean`, or None.

    Returns:
        Tensor like `x`.
    """
    scale = tf.math.rsqrt(variance + tf.constant(epsilon, variance.dtype))
    if gamma is not None:
        scale *= gamma
    offset = -mean * scale
    if beta is not None:
        offset += beta
    return tf.cast(tf.cast(x, mean.dtype) * scale + offset, x.dtype)
