"""Derivatives along random directions: automatic ones compared with central differences."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers, graph_functions
from mtnet_tf.conversion import finalize_statistics

# Central differences in float64 have errors of about 1e-8. A wrong derivative has an error of a few
# per cent, of which the meta-gradient contains a part proportional to the step size.
TOLERANCE = 1e-6
# Pairs (step, noise). A direction may cross a kink (of a ReLU or a maximum); then another step is
# tried, with noise that breaks ties, such as the zeros after a ReLU.
ATTEMPTS = ((1e-5, 0.0), (1e-6, 0.1), (1e-7, 0.1))

# From float64 tensors to float64 tensors.
Outputs = Callable[[Sequence[tf.Tensor]], list[tf.Tensor]]
# From float64 tensors to a scalar.
Scalar = Callable[[Sequence[tf.Tensor]], tf.Tensor]
Gradient = Any  # list of tensors or None, as `tf.GradientTape.gradient` returns


def in_float64(model: keras.Model, x: Any) -> keras.Model:
    """Copies a model, with its weights, to one that computes in float64.

    Raises:
        ValueError: if Keras cannot serialise the model.
    """
    kinds = {type(layer) for layer in flatten_layers(model)}
    custom = {keras.saving.get_registered_name(kind): kind for kind in kinds}
    try:
        config: Any = _with_dtype(keras.saving.serialize_keras_object(model))
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(config, custom, safe_mode=False)
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "Keras must be able to serialise `model`. Received: "
            f"{model.name} of class {type(model).__name__}. Add `get_config` to its class."
        ) from error
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
) -> float:
    """Compares the gradient of a function of some variables with central differences.

    Args:
        gradient: the gradient to check, one array per variable.
        value: the function. It takes no arguments and reads the variables.
        variables: moved along random directions, and restored at the end.
        random: NumPy generator.

    Returns:
        The relative error of the best attempt.
    """
    scale = np.sqrt(sum(np.sum(g * g) for g in gradient))
    best = np.inf
    with restored(variables) as starts:
        for step, _ in ATTEMPTS:
            along = [direction(v.shape, random) for v in starts]
            ends = []
            for sign in (step, -step):
                _assign(variables, [s + sign * d for s, d in zip(starts, along, strict=True)])
                ends.append(value())
            slope = sum(np.sum(g * d) for g, d in zip(gradient, along, strict=True))
            expected = (ends[0] - ends[1]) / (2 * step)
            best = min(best, relative_error(slope, expected, scale))
            if best < TOLERANCE:
                break
    return best


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def check_derivatives(
    outputs: Outputs, values: Sequence[tf.Tensor], random: np.random.Generator
) -> tuple[str, float, float]:
    """Compares the first and second derivatives of a function with numerical ones.

    Example:
    >>> sine = lambda values: [tf.sin(values[0])]
    >>> check_derivatives(sine, [tf.ones([2], tf.float64)], np.random.default_rng(0))[0]
    'exact'

    Args:
        outputs: function from a list of float64 tensors to a list of float64 tensors.
        values: the tensors at which the derivatives are computed.
        random: NumPy generator.

    Returns:
        Tuple (verdict, relative error of the first derivative, of the second derivative). The
        verdict is "exact", "wrong", "first-order only" or "disconnected".
    """
    value = _scalar(outputs, values, random)
    if all(g is None for g in _gradient(value, values)):
        return "disconnected", np.nan, np.nan
    first, second, lost = np.inf, np.inf, False
    for step, noise in ATTEMPTS:
        near = [v + noise * random.normal(size=_known_shape(v)) for v in values]
        errors = _errors(value, near, step, random)
        lost = errors[1] is None
        second_error = 1.0 if errors[1] is None else errors[1]
        first, second = np.fmin(first, errors[0]), np.fmin(second, second_error)
        if max(first, second) < TOLERANCE:
            return "exact", first, second
    if first < TOLERANCE and lost:
        return "first-order only", first, second
    return "wrong", first, second


def _errors(
    value: Scalar, values: Sequence[tf.Tensor], step: float, random: np.random.Generator
) -> tuple[float, float | None]:
    """Relative errors of the first and the second derivative; None if there is no second one."""
    along, across = ([direction(_known_shape(v), random) for v in values] for _ in range(2))
    ends = [_shift(values, along, s) for s in (step, -step)]
    gradient = _gradient(value, values)
    expected = (value(ends[0]) - value(ends[1])) / (2 * step)
    first = relative_error(_dot(gradient, along), expected, _norm(gradient))
    slopes = [_dot(_gradient(value, end), across) for end in ends]
    expected = (slopes[0] - slopes[1]) / (2 * step)
    found = _second(value, values, across)
    if found is None:
        # A piecewise linear function correctly has no second derivative.
        flat = relative_error(0.0, expected, _norm(gradient)) < TOLERANCE
        return first, 0.0 if flat else None
    return first, relative_error(_dot(found, along), expected, max(_norm(found), _norm(gradient)))


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


def suspects(outputs: Outputs, values: Sequence[tf.Tensor]) -> str:
    """Names of the operations whose gradient is not the default one, in one string.

    These are `tf.stop_gradient` (`tf.nn.moments` contains one) and `tf.custom_gradient`.
    """
    specs = [tf.TensorSpec(v.shape, v.dtype) for v in values]
    trace = tf.function(lambda *v: outputs(list(v)), autograph=False)
    graph = trace.get_concrete_function(*specs).graph
    graphs = [graph, *graph_functions(graph)]
    names = [op.name for op in graphs[0].get_operations() if _changed(op)]
    return ", ".join(dict.fromkeys(names))


def _changed(op: tf.Operation) -> bool:
    if op.type in ("StopGradient", "PreventGradient"):
        return True
    attributes = op.node_def.attr
    return op.type == "IdentityN" and b"CustomGradient" in attributes["_gradient_op_type"].s


def _scalar(outputs: Outputs, values: Sequence[tf.Tensor], random: np.random.Generator) -> Scalar:
    """A nonlinear scalar function of all outputs, whose cotangent does not sum to zero."""
    start = outputs(values)
    # A cotangent that sums to zero would hide a wrong gradient of a mean.
    cotangents = [tf.constant(random.normal(size=_known_shape(y)) + 1.0) for y in start]
    sizes = [1.0 + float(tf.reduce_max(tf.abs(y))) for y in start]

    def value(values: Sequence[tf.Tensor]) -> tf.Tensor:
        parts = zip(outputs(values), cotangents, sizes, strict=True)
        return tf.add_n([tf.reduce_sum(c * tf.sin(y / s)) for y, c, s in parts])

    return value


def _gradient(value: Scalar, values: Sequence[tf.Tensor]) -> Gradient:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = value(values)
    return tape.gradient(result, values)


def _second(value: Scalar, values: Sequence[tf.Tensor], across: Sequence[np.ndarray]) -> Gradient:
    """Gradient of the slope along `across`; None if it does not exist."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        slope = _dot(_gradient(value, values), across)
    try:
        found = tape.gradient(slope, values)
    except (LookupError, NotImplementedError):
        return None
    return None if all(f is None for f in found) else found


def direction(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A random direction with a constant part.

    The error of `tf.nn.moments` is in the direction of constants; without a constant part it would
    vanish in large batches.
    """
    return random.normal(size=shape) + 1.0


def _known_shape(x: tf.Tensor) -> tuple[int, ...]:
    """The shape of a tensor that has a value."""
    return cast(tuple[int, ...], tuple(x.shape))


def _shift(
    values: Sequence[tf.Tensor], direction: Sequence[np.ndarray], step: float
) -> list[tf.Tensor]:
    return [v + step * d for v, d in zip(values, direction, strict=True)]


def _dot(gradient: Gradient, direction: Sequence[np.ndarray]) -> tf.Tensor:
    terms = [
        tf.reduce_sum(g * d) for g, d in zip(gradient, direction, strict=True) if g is not None
    ]
    return tf.add_n(terms) if terms else tf.constant(0.0, tf.float64)


def _norm(gradient: Gradient) -> float:
    return np.sqrt(sum(float(tf.reduce_sum(tf.square(g))) for g in gradient if g is not None))
