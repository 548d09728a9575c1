"""What a compiled function contains as constants: the Python values that it was traced with.

Variables are not among them: a compiled function reads their present values.
"""

import dataclasses
import types
from collections.abc import Hashable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers
from mtnet_tf.conversion import own_attributes

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)
_BY_IDENTITY = (
    *(tf.Variable, tf.Tensor, keras.Variable, keras.layers.Layer, type),
    *(types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.ModuleType),
)
# Objects inside objects are searched to this depth, and compared by identity below it.
_DEPTH = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Same:
    """An object that is equal to itself only. It is kept, so that its `id` is not used again."""

    value: Any

    def __eq__(self, other: object) -> bool:
        """Whether it is the same object."""
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        """The hash of its identity."""
        return id(self.value)


def constants_of_layers(*roots: keras.layers.Layer) -> Hashable:
    """The constants of layers and of all layers inside them, see `constants_of`.

    It differs after an attribute of one of the layers is changed in place. What Keras stores on
    every layer is left out, except for `trainable` and the policy of the dtype.
    """
    layers = [layer for root in roots for layer in flatten_layers(root)]
    return tuple(
        (Same(layer), layer.trainable, layer.dtype_policy.name, _attributes(layer))
        for layer in layers
    )


def _attributes(layer: keras.layers.Layer) -> Hashable:
    if isinstance(layer, keras.Model):  # the rest describes its layers, which do not change
        return plain_attributes(layer)
    own = own_attributes(layer).items()
    return tuple((name, constants_of(value)) for name, value in own)


def plain_attributes(instance: Any) -> Hashable:
    """The public attributes of an object that are numbers, strings, tensors or None."""
    kinds = (*_PLAIN, tf.Tensor, tf.Variable)
    return tuple(
        (name, constants_of(value))
        for name, value in vars(instance).items()
        if not name.startswith("_") and isinstance(value, kinds)
    )


def constants_of(value: Any, depth: int = _DEPTH) -> Hashable:
    """A key that is equal as long as a value, and the values inside it, do not change.

    Example:
    >>> schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    >>> before = constants_of(schedule)
    >>> constants_of(schedule) == before
    True
    >>> schedule.alpha = 0.5
    >>> constants_of(schedule) == before
    False

    Args:
        value: any object. Tensors, variables, layers and functions are compared by identity.
        depth: levels of objects to search.
    """
    if isinstance(value, _PLAIN):
        return (type(value), value)
    if isinstance(value, np.ndarray):
        return (
            value.shape,
            value.dtype.str,
            Same(value) if value.dtype.hasobject else bytes(value),
        )
    of_tensorflow = type(value).__module__.split(".")[0] == "tensorflow"
    if isinstance(value, _BY_IDENTITY) or of_tensorflow or depth == 0:
        return Same(value)
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, list | tuple):
        return (type(value), *(constants_of(part, depth - 1) for part in value))
    elif hasattr(value, "__dict__"):
        pairs = vars(value).items()
    else:
        return Same(value)
    return (type(value), *((str(name), constants_of(part, depth - 1)) for name, part in pairs))
