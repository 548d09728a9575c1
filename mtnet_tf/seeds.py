"""Where every random number comes from: (run seed, purpose, iteration), nothing else.

A run that was killed and resumed draws what a run that was never stopped would have drawn.
"""

import enum

import tensorflow as tf


class Purpose(enum.IntEnum):
    """Independent streams of one run seed."""

    TRAIN_TASKS = 0
    TRAIN_MASKS = 1
    EVALUATION_TASKS = 2
    EVALUATION_MASKS = 3


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
    return tf.random.experimental.stateless_fold_in(base, tf.cast(iteration, tf.int32))


def split(seed, num):
    """`num` independent seeds from one, a list of int32 tensors [2]."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, num))
