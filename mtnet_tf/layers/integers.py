"""Numbers as arguments of layers, and integers as their inputs."""

import numbers
from typing import Any

import numpy as np
import tensorflow as tf

from mtnet_tf.seeds import is_integer, validate_integer, validate_sizes

__all__ = [
    "as_float",
    "cast_integers",
    "is_integer",
    "validate_integer",
    "validate_positive",
    "validate_sizes",
]


def as_float(value: Any) -> float | None:
    """A real number of Python or NumPy, or an array or tensor of one, as a Python float.

    Returns:
        The number; None if it is anything else, such as a bool, a string or a variable.
    """
    is_array = isinstance(value, np.ndarray) or (tf.is_tensor(value) and hasattr(value, "numpy"))
    if is_array and not isinstance(value, tf.Variable) and np.ndim(value) == 0:
        value = np.asarray(value)[()]
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    return float(value) if is_number else None


def validate_positive(name: str, value: Any, *, zero: bool = False) -> float:
    """An argument as a positive Python float, which can be stored in a configuration.

    Example:
    >>> import numpy as np
    >>> validate_positive("temperature", np.float32(0.5))
    0.5

    Args:
        name: the argument, for the message.
        value: its value.
        zero: whether it may be zero.

    Returns:
        The value as a float.

    Raises:
        ValueError: if it is not a finite number, or not positive.
    """
    number = as_float(value)
    if number is None or not np.isfinite(number):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r}.")
    if number < 0 or (number == 0 and not zero):
        required = "must not be negative" if zero else "must be positive"
        raise ValueError(f"`{name}` {required}. Received: {name}={value!r}.")
    return number


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
