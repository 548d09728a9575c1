"""Mean and variance whose every derivative is right, which `tf.nn.moments` does not give."""

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
