"""The inputs that a model expects, of whatever kind the model is."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf._keras import Functional


def input_specs(model: keras.Model) -> Any:
    """Specifications of the inputs of a model, in the structure in which it takes them.

    Args:
        model: built Keras model.

    Returns:
        A named `tf.TensorSpec` [n, ...], or a dict, list or tuple of them; one that is alone in a
        list stands for itself. None if the inputs are unknown: those of a subclass of `keras.Model`
        that was not called, or that takes several arguments. Inputs of a subclass are floats with
        the shapes of its first call.
    """
    if isinstance(model, keras.Sequential | Functional):
        inputs: Any = model.inputs if isinstance(model, keras.Sequential) else model.input
        specs = tf.nest.map_structure(lambda i: tf.TensorSpec(i.shape, i.dtype, i.name), inputs)
    else:
        shape = (model.get_build_config() or {}).get("input_shape")
        specs = _specs_of(shape, model.compute_dtype, "input") if shape else None
    return specs[0] if isinstance(specs, list | tuple) and len(specs) == 1 else specs


def _specs_of(shape: Any, dtype: str, name: str) -> Any:
    """Specifications for a structure of shapes; the number of examples is unknown."""
    if isinstance(shape, Mapping):
        return {key: _specs_of(part, dtype, f"{name}_{key}") for key, part in shape.items()}
    if any(isinstance(part, list | tuple | Mapping) for part in shape):
        return [_specs_of(part, dtype, f"{name}_{i}") for i, part in enumerate(shape)]
    return tf.TensorSpec([None, *shape[1:]], dtype, name)
