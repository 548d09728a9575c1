"""Where every random number comes from: (run seed, purpose, iteration), nothing else.

A run that was killed and resumed draws what a run that was never stopped would have drawn.
"""

import enum

import tensorflow as tf

# Named, because TensorFlow's automatic choice differs with and without XLA.
ALGORITHM = "philox"


class Purpose(enum.IntEnum):
    """Independent streams of one run seed."""

    TRAIN_TASKS = 0
    TRAIN_MASKS = 1
    EVALUATION_TASKS = 2
    EVALUATION_MASKS = 3
    VALIDATION_TASKS = 4
    VALIDATION_MASKS = 5
    SELECTION_TASKS = 6  # an evaluation on the validation split, to choose by


def stateless_seed(seed, purpose, iteration):
    """The stateless seed of one purpose at one iteration.

    Args:
      seed: run seed, int.
      purpose: a `Purpose`.
      iteration: int or int tensor.

    Returns:
      int32 tensor [2].
    """
    base = tf.constant([seed & 0x7FFFFFFF, int(purpose)], tf.int32)
    return derive(base, iteration)


def derive(seed, number):
    """A new seed from a seed and a number.

    Args:
      seed: int32 tensor [2].
      number: int or int tensor.

    Returns:
      int32 tensor [2].
    """
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32), ALGORITHM)


def split(seed, num):
    """`num` independent seeds from one, a list of int32 tensors [2]."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, num, ALGORITHM))


def uniform(shape, seed, low=0.0, high=1.0):
    """Uniform float32 numbers in [low, high), the same with and without XLA.

    `tf.random.stateless_uniform` gives other floats when compiled, but the same integers.

    Args:
      shape: of the result.
      seed: int32 tensor [2].
      low: float.
      high: float.
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg=ALGORITHM)
    unit = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) / 2**24
    return low + (high - low) * unit


def integers(shape, seed, high):
    """Uniform int32 numbers in [0, high), the same with and without XLA."""
    return tf.random.stateless_uniform(shape, seed, 0, high, tf.int32, alg=ALGORITHM)
