"""Arguments that must be integers: those of Python and of NumPy, but not bools."""

import operator
from typing import Any

import numpy as np


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
