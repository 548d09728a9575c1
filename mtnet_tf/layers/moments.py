"""Normalisation whose every derivative is right, which that of `tf.nn.moments` is not."""

import tensorflow as tf


def moments(x, axis):
    """Mean and biased variance, the variance written out.

    Args:
      x: tensor.
      axis: int or list of ints, the axes of the statistics.

    Returns:
      Pair of tensors, at least float32; every order of derivative is exact.
    """
    if x.dtype.size < 4:  # squares overflow in half precision
        x = tf.cast(x, tf.float32)
    mean = tf.reduce_mean(x, axis, keepdims=True)
    return mean, tf.reduce_mean(tf.square(x - mean), axis, keepdims=True)


def standardize(x, mean, variance, epsilon):
    """`(x - mean) / sqrt(variance + epsilon)`, a tensor like `x`; mean and variance broadcast."""
    centred = tf.cast(x, mean.dtype) - mean
    scale = tf.math.rsqrt(variance + tf.constant(epsilon, variance.dtype))
    return tf.cast(centred * scale, x.dtype)


def normalize(x, mean, variance, epsilon, gamma=None, beta=None):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, multiplied out as Keras does.

    The order of the operations is that of Keras' own layers, so that a layer that takes the place
    of one of them gives the same bits.

    Args:
      x: tensor.
      mean: at least float32; like the following ones, broadcasts against `x`.
      variance: of the dtype of `mean`.
      epsilon: float.
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
