"""Derivatives along random directions: automatic ones compared with central differences."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers
from mtnet_tf.conversion import copy_vocabularies, finalize_statistics


class Precision(NamedTuple):
    """How central differences are taken.

    Attributes:
        tolerance: largest relative error of a correct derivative.
        attempts: pairs (step, noise). A direction may cross a kink (of a ReLU or a maximum); then
            another step is tried, with noise that breaks ties, such as the zeros after a ReLU.
    """

    tolerance: float
    attempts: tuple[tuple[float, float], ...]


# Central differences in float64 have errors of about 1e-8. A wrong derivative has an error of a few
# per cent, of which the meta-gradient contains a part proportional to the step size.
DOUBLE = Precision(1e-6, ((1e-5, 0.0), (1e-6, 0.1), (1e-7, 0.1)))
# For operations that TensorFlow has in float32 only.
SINGLE = Precision(5e-3, ((1e-3, 0.0), (3e-4, 0.1), (1e-3, 1.0), (3e-4, 1.0), (1e-2, 1.0)))
TOLERANCE, ATTEMPTS = DOUBLE


def in_float64(model: keras.Model, x: Any) -> keras.Model:
    """Copies a model, with its weights, to one that computes in float64.

    Raises:
        ValueError: if Keras cannot serialise the model.
    """
    layers = flatten_layers(model)
    custom: Any = {keras.saving.get_registered_name(type(x)): type(x) for x in layers}
    # The copy of a Lambda layer has the same function: its code may refer to global names.
    lambdas = {x.name: x.function for x in layers if isinstance(x, keras.layers.Lambda)}
    custom |= {f"function of {name}": function for name, function in lambdas.items()}
    try:
        config: Any = _with_dtype(keras.saving.serialize_keras_object(model))
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(config, custom, safe_mode=False)
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "Keras must be able to serialise `model`. Received: "
            f"{model.name} of class {type(model).__name__}. Add `get_config` to its class."
        ) from error
    copy_vocabularies(model, copy)
    if not copy.built:
        copy(tf.convert_to_tensor(x))
    for ours, theirs in zip(copy.variables, model.variables, strict=True):
        ours.assign(tf.cast(theirs.value, ours.dtype))
    finalize_statistics(copy)
    return copy


def _with_dtype(config: Any) -> Any:
    """A configuration in which every floating dtype and dtype policy is float64."""
    if isinstance(config, list | tuple):
        return type(config)(_with_dtype(x) for x in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return "float64"
    if config.get("class_name") == "Lambda":
        function = f"function of {config['config']['name']}"
        named = {"class_name": "function", "config": function, "registered_name": function}
        own = config["config"] | {"function": named | {"module": "builtins"}, "dtype": "float64"}
        return config | {"config": own}
    is_float = isinstance(config.get("dtype"), str) and "float" in config["dtype"]
    changed = {"dtype": "float64"} if is_float else {}
    return {key: _with_dtype(value) for key, value in config.items()} | changed


@contextlib.contextmanager
def restored(variables: Sequence[keras.Variable]) -> Iterator[list[np.ndarray]]:
    """Yields the values of some variables, and restores them at the end, even after an error."""
    values = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    try:
        yield values
    finally:
        _assign(variables, values)


def gradient_error(
    gradient: Sequence[np.ndarray],
    value: Callable[[], float],
    variables: Sequence[keras.Variable],
    random: np.random.Generator,
    precision: Precision = DOUBLE,
) -> float:
    """Compares the gradient of a function of some variables with central differences.

    Args:
        gradient: the gradient to check, one array per variable.
        value: the function. It takes no arguments and reads the variables.
        variables: moved along random directions, and restored at the end.
        random: NumPy generator.
        precision: step sizes and tolerance of the central differences.

    Returns:
        The relative error of the best attempt.
    """
    scale = np.sqrt(sum(np.sum(g * g) for g in gradient))
    best = np.inf
    with restored(variables) as starts:
        for step, _ in precision.attempts:
            along = [direction(v.shape, random) for v in starts]
            ends = []
            for sign in (step, -step):
                _assign(variables, [s + sign * d for s, d in zip(starts, along, strict=True)])
                ends.append(value())
            slope = sum(np.sum(g * d) for g, d in zip(gradient, along, strict=True))
            expected = (ends[0] - ends[1]) / (2 * step)
            # Differences of equal values are not exactly zero where the gradient is zero.
            best = min(best, relative_error(slope, expected, max(scale, 1e-2 * abs(ends[0]))))
            if best < precision.tolerance:
                break
    return best


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def relative_error(found: Any, expected: Any, scale: Any) -> float:
    """Error of `found` relative to the larger of |found|, |expected| and 1e-3 * scale.

    Example:
    >>> relative_error(1.0, 2.0, scale=1.0)
    0.5

    Args:
        found: number.
        expected: number.
        scale: norm of the gradient; it bounds the error of a derivative that is almost zero.
    """
    found, expected, scale = float(found), float(expected), float(scale)
    reference = max(abs(found), abs(expected), 1e-3 * scale)
    return abs(found - expected) / reference if reference else 0.0


def direction(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A random direction with a constant part.

    The error of `tf.nn.moments` is in the direction of constants; without a constant part it would
    vanish in large batches.
    """
    return random.normal(size=shape) + 1.0
