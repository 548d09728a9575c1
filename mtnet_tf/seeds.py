"""The source of every random number: (run seed, purpose, iteration).

A run that was killed and resumed draws the same numbers as an uninterrupted run. The integers on
which a sample depends, seeds and sizes, are checked here.
"""

import enum
import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Shape = Sequence[Any]
# The functions of `tf.random` compute the same numbers, but trace three times as many operations.
_raw: Any = tf.raw_ops
# The number of the algorithm in TensorFlow. Its automatic choice differs with and without XLA.
_PHILOX = 1
# The key with which TensorFlow mixes a seed.
_MIXING_KEY = 0x02461E293EC8F720


class Purpose(enum.IntEnum):
    """Independent streams of one run seed."""

    TRAIN_TASKS = 0
    TRAIN_MASKS = 1
    EVALUATION_TASKS = 2
    EVALUATION_MASKS = 3
    VALIDATION_TASKS = 4
    VALIDATION_MASKS = 5
    SELECTION_TASKS = 6  # an evaluation on the validation split, to choose by


def is_integer(value: Any) -> bool:
    """Whether it is an integer of Python or NumPy, and not a bool."""
    if isinstance(value, bool | np.bool_):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def validate_integer(name: str, value: Any, minimum: int | None = None) -> int:
    """An argument as a Python int, which can be stored in a configuration.

    Example:
    >>> import numpy as np
    >>> validate_integer("units", np.int64(3), 1)
    3

    Args:
        name: the argument, for the message.
        value: its value.
        minimum: 0 or 1, the smallest value allowed; None for any integer.

    Returns:
        The value as an int.

    Raises:
        ValueError: if it is not an integer, is a bool, or is below the minimum.
    """
    required = "must be a positive integer" if minimum == 1 else "must be an integer"
    if is_integer(value):
        number = operator.index(value)
        if minimum is None or number >= minimum:
            return number
        required = "must not be negative" if minimum == 0 else required
    raise ValueError(f"`{name}` {required}. Received: {name}={value!r}.")


def validate_sizes(name: str, values: Any) -> tuple[int, ...]:
    """An argument as a tuple of Python ints that are not negative.

    Example:
    >>> validate_sizes("shape", [3, 0])
    (3, 0)

    Args:
        name: the argument, for the message.
        values: its value, a sequence.

    Raises:
        ValueError: if it is not a sequence of such integers. The message contains all of it.
    """
    try:
        return tuple(validate_integer(name, value, 0) for value in values)
    except (TypeError, ValueError):
        given = values if isinstance(values, str | bytes) or not np.iterable(values) else (*values,)
        raise ValueError(
            f"`{name}` must contain only integers that are not negative. Received: {name}={given}."
        ) from None


def stateless_seed(seed: int, purpose: Purpose, iteration: int | tf.Tensor) -> tf.Tensor:
    """The stateless seed of one purpose at one iteration.

    Args:
        seed: run seed.
        purpose: a `Purpose`.
        iteration: number of the iteration.

    Returns:
        int32 tensor [2].

    Raises:
        ValueError: if `seed` is not an integer.
    """
    seed = validate_integer("seed", seed)
    first = _first_of(seed & 0x7FFFFFFF, int(purpose))
    return tf.stack([tf.constant(first), tf.cast(iteration, tf.int32)])


@functools.cache
def _first_of(seed: int, purpose: int) -> int:
    """The first number of all seeds that `derive` makes of (seed, purpose), without tracing it."""
    with tf.init_scope():
        return int(full_integers([], tf.constant([seed, purpose], tf.int32)))


def derive(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """A new seed from a seed and a number.

    Args:
        seed: int32 tensor [2].
        number: any int.

    Returns:
        int32 tensor [2].
    """
    return derive_each(seed, [number])[0]


def derive_each(seed: tf.Tensor, numbers: Sequence[int | tf.Tensor]) -> list[tf.Tensor]:
    """The seeds `derive(seed, number)` of several numbers, with fewer operations."""
    first = full_integers([], seed)
    return [tf.stack([first, tf.cast(number, tf.int32)]) for number in numbers]


def split(seed: tf.Tensor, num: int) -> list[tf.Tensor]:
    """`num` independent seeds from one, int32 tensors [2]."""
    return tf.unstack(full_integers([num, 2], seed))


def uniform(shape: Shape, seed: tf.Tensor, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Uniform float32 numbers in [low, high), the same with and without XLA.

    Compiled, `tf.random.stateless_uniform` returns other floats, but the same integers.

    Args:
        shape: shape of the result.
        seed: int32 tensor [2].
        low: lower bound.
        high: upper bound.

    Returns:
        Tensor of `shape`.
    """
    bits = full_integers(shape, seed, tf.uint32)
    unit = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) / 2**24
    return low + (high - low) * unit


def integers(shape: Shape, seed: tf.Tensor, high: int | tf.Tensor) -> tf.Tensor:
    """Uniform int32 numbers in [0, high), the same with and without XLA."""
    key, counter = _key_and_counter(seed)
    return _raw.StatelessRandomUniformIntV2(
        shape=tf.convert_to_tensor(shape, tf.int32),
        key=key,
        counter=counter,
        alg=_PHILOX,
        minval=tf.constant(0, tf.int32),
        maxval=tf.cast(high, tf.int32),
    )


def full_integers(shape: Shape, seed: tf.Tensor, dtype: tf.DType = tf.int32) -> tf.Tensor:
    """Uniform numbers among all those of an integer dtype, the same with and without XLA."""
    return _philox(shape, *_key_and_counter(seed), dtype)


def _key_and_counter(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Key [1] and counter [2] of Philox, uint64, as TensorFlow mixes them from a seed [2]."""
    key = tf.constant([_MIXING_KEY], tf.uint64)
    words = _philox([4], key, tf.cast(seed, tf.uint64), tf.uint32)
    key, low = tf.split(tf.bitcast(tf.reshape(words, [2, 2]), tf.uint64), 2)
    return key, tf.concat([tf.constant([0], tf.uint64), low], 0)


def _philox(shape: Shape, key: tf.Tensor, counter: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return _raw.StatelessRandomUniformFullIntV2(
        shape=tf.convert_to_tensor(shape, tf.int32),
        key=key,
        counter=counter,
        dtype=dtype,
        alg=_PHILOX,
    )
