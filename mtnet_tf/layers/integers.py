"""Integers of Python and NumPy as arguments, and as inputs of layers."""

import operator
from typing import Any

import numpy as np
import tensorflow as tf


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


def cast_integers(inputs: tf.Tensor, dtype: str) -> tf.Tensor:
    """The inputs of a layer as floats: Keras casts floats for a layer, but not integers and bools.

    Args:
        inputs: tensor or array.
        dtype: the floating dtype that integers and bools get.

    Returns:
        Tensor of the same shape. Floats keep their dtype.
    """
    inputs = tf.convert_to_tensor(inputs)
    return inputs if inputs.dtype.is_floating else tf.cast(inputs, dtype)
