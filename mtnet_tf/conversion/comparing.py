"""Comparison of a model with its copy on random inputs."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers, keras_mask
from mtnet_tf.conversion.random_inputs import RandomInputs
from mtnet_tf.layers import observed_calls

# Differences allowed, relative to the largest output: of layers that compute in this dtype.
_TOLERANCES = {"float64": 1e-8, "float32": 1e-3, "float16": 0.05, "bfloat16": 0.2}
# Sizes that are tried for an axis of unknown size. The last is enough for every network of
# `keras.applications`.
_UNKNOWN_SIZES = (32, 96)
LayerPairs = Sequence[tuple[keras.layers.Layer, keras.layers.Layer]]


def check_same_outputs(model: keras.Model, copy: keras.Model, layers: LayerPairs) -> None:
    """Raises ValueError if a model and its copy have different outputs or time-step masks.

    Both are called in inference on two random examples, see `RandomInputs`. Their variables and
    seeds do not change. Nothing is compared if the model rejects the inputs, or if its outputs for
    the same inputs differ from call to call.

    Args:
        model: Keras model.
        copy: the model that should have the same outputs.
        layers: pairs (layer of the model, layer that replaces it), in the order of their calls.
    """
    with warnings.catch_warnings(), keras.StatelessScope():
        warnings.simplefilter("ignore")  # those of the model, which the user knows
        inputs, expected = _accepted_inputs(model)
    if inputs is None:
        return
    tolerance = _tolerance(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not _differ(expected, _outputs(copy, inputs), tolerance):
            return
        if _differ(expected, _outputs(model, inputs), tolerance):
            return
        first = _first_difference(model, copy, layers, inputs, tolerance)
    raise ValueError(
        f"A copy of `model` must have the same outputs. Received: {model.name}, whose copy differs "
        f"in {first}. If it is a layer of your own, return all arguments of its constructor from "
        "`get_config`. With `check_outputs=False`, outputs are not compared."
    )


def _accepted_inputs(model: keras.Model) -> tuple[Any, Any]:
    """Inputs and the outputs for them, or None twice if the model accepts none."""
    for size in _UNKNOWN_SIZES:
        # What a model raises for inputs that it does not accept is not known.
        try:
            inputs = RandomInputs(model).draw(size)
            return inputs, model(inputs, training=False)
        except Exception:  # noqa: BLE001
            continue
    return None, None


def _outputs(model: keras.Model, inputs: Any) -> Any:
    # In this scope, variables and seeds do not change.
    with keras.StatelessScope():
        return model(inputs, training=False)


def _tolerance(model: keras.Model) -> float:
    """The tolerance of the least precise dtype in which a layer computes."""
    layers = flatten_layers(model)
    found = [_TOLERANCES.get(layer.compute_dtype, 0.0) for layer in layers]
    quantized = keras.dtype_policies.QuantizedDTypePolicy
    if any(isinstance(layer.dtype_policy, quantized) for layer in layers):
        found.append(_TOLERANCES["float16"])
    rounds = tf.config.experimental.tensor_float_32_execution_enabled()
    if rounds and tf.config.list_physical_devices("GPU"):
        found.append(_TOLERANCES["float16"])  # products have 10 bits, as in half precision
    return max(found)


def _differ(expected: Any, found: Any, tolerance: float) -> bool:
    pairs = list(zip(keras.tree.flatten(expected), keras.tree.flatten(found), strict=True))
    return any(
        _tensors_differ(a, b, tolerance) or _tensors_differ(keras_mask(a), keras_mask(b), 0.0)
        for a, b in pairs
    )


def _tensors_differ(expected: Any, found: Any, tolerance: float) -> bool:
    if expected is None or found is None:
        return expected is not found
    expected, found = _to_numpy(expected), _to_numpy(found)
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return True
    if expected.dtype.kind != "f":
        return not np.array_equal(expected, found)
    finite = np.abs(expected[np.isfinite(expected)])
    atol = tolerance * finite.max(initial=0.0)
    return not np.allclose(found, expected, rtol=0.0, atol=atol, equal_nan=True)


def _to_numpy(tensor: Any) -> np.ndarray:
    if isinstance(tensor, tf.RaggedTensor):
        tensor = tensor.to_tensor()
    if isinstance(tensor, tf.SparseTensor):
        tensor = tf.sparse.to_dense(tensor)
    tensor = tf.convert_to_tensor(tensor)
    return (tf.cast(tensor, tf.float64) if tensor.dtype.is_floating else tensor).numpy()


def _first_difference(
    model: keras.Model, copy: keras.Model, layers: LayerPairs, inputs: Any, tolerance: float
) -> str:
    """The first layer whose output differs, in words."""
    ours, theirs = (
        _outputs_of_layers(network, members, inputs)
        for network, members in zip((model, copy), zip(*layers, strict=True), strict=True)
    )
    for (number, expected), (_, found) in zip(ours, theirs, strict=False):
        if _differ(expected, found, tolerance):
            layer = layers[number][0]
            return f"the output of {layer.name} of class {type(layer).__name__}"
    return "the graph that connects the layers"


def _outputs_of_layers(
    model: keras.Model, layers: Sequence[keras.layers.Layer], inputs: Any
) -> list[tuple[int, Any]]:
    """Pairs (position in `layers`, outputs), in the order of the calls."""
    numbers = {id(layer): number for number, layer in enumerate(layers)}
    calls: list[tuple[int, Any]] = []

    def record(layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        calls.append((numbers[id(layer)], outputs))
        return outputs

    with observed_calls(layers, record):
        _outputs(model, inputs)
    return calls
