"""The arguments of `audit`: what fits a model, and what has derivatives."""

from typing import Any

import keras
import tensorflow as tf

from mtnet_tf._keras import Functional
from mtnet_tf.diagnostics.layer_calls import is_float
from mtnet_tf.layers import not_built


def as_tensors(model: keras.Model, x: Any) -> Any:
    """Arrays as tensors; a dict, list or tuple of them if the model has several inputs."""
    functional = isinstance(model, keras.Sequential | Functional) and model.built
    several = len(model.inputs) > 1 if functional else all(hasattr(part, "shape") for part in x)
    if isinstance(x, dict) or (isinstance(x, list | tuple) and several):
        return tf.nest.map_structure(tf.convert_to_tensor, x)
    return tf.convert_to_tensor(x)


def check_arguments(model: keras.Model, x: Any, y: tf.Tensor) -> None:
    """Raises ValueError if the model is not built, or if `x` or `y` do not fit it."""
    if not model.built:
        raise not_built(model)
    inputs = tf.nest.flatten(x)
    shapes = ", ".join(str(tuple(t.shape)) for t in inputs)
    received = f"Received: x of shape {shapes}, y of shape {tuple(y.shape)}"
    if any(len(t) < 2 or len(t) != len(y) for t in inputs):
        raise ValueError(f"`x` and `y` must contain the same two or more examples. {received}.")
    for tensor in filter(is_float, [*inputs, y]):
        if not bool(tf.reduce_all(tf.math.is_finite(tensor))):
            raise ValueError("`x` and `y` must be finite. Received: NaN or infinite numbers.")
    if not isinstance(model, keras.Sequential | Functional):
        return  # the input shape of a subclass is unknown
    if len(model.inputs) != len(inputs):
        raise ValueError(
            "`x` must contain one array for each input of the model. Received: "
            f"{len(inputs)} for the {len(model.inputs)} inputs of {model.name}."
        )
    named = {i.name: i for i in model.inputs}
    in_order = isinstance(x, dict) and named.keys() == x.keys()
    specs = [named[name] for name in sorted(x)] if in_order else model.inputs
    for tensor, spec in zip(inputs, specs, strict=True):
        expected = tuple(spec.shape[1:])
        if not tf.TensorShape(expected).is_compatible_with(tensor.shape[1:]):
            raise ValueError(
                f"`x` must have the shape (n, *{expected}) that fits the model. {received}."
            )


def check_output(model: keras.Model, output: tf.Tensor) -> None:
    """Raises ValueError if the output of the model has no derivative."""
    if not output.dtype.is_floating:
        raise ValueError(
            "The output of `model` must be floating-point numbers, because other outputs have no "
            f"derivative. Received: {model.name} with an output of {output.dtype.name}. Remove the "
            "operation that rounds or compares, such as argmax."
        )
