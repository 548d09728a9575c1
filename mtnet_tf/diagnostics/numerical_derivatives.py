"""Derivatives of a function along random directions, by automatic and by central differences."""

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers, graph_functions
from mtnet_tf.conversion import finalize_statistics

# Central differences in float64 are good to about 1e-8; errors of operations are per cents, of
# which the step size leaves a part in the meta-gradient.
TOLERANCE = 1e-6
# (step, noise): a direction that crosses a kink (of a ReLU, of a maximum) is tried again with
# another step, and away from ties such as zeros behind a ReLU.
ATTEMPTS = ((1e-5, 0.0), (1e-6, 0.1), (1e-7, 0.1))


def in_float64(model, x):
    """A copy of a model that computes in float64, with its weights.

    Raises:
      ValueError: if Keras can't serialise the model.
    """
    kinds = {type(layer) for layer in flatten_layers(model)}
    custom = {keras.saving.get_registered_name(kind): kind for kind in kinds}
    try:
        config = _with_dtype(keras.saving.serialize_keras_object(model))
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(config, custom, safe_mode=False)
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "`model` must be one that Keras can serialise: give its class `get_config`. "
            f"Received: {model.name} of class {type(model).__name__}."
        ) from error
    if not copy.built:
        copy(tf.convert_to_tensor(x))
    for ours, theirs in zip(copy.variables, model.variables, strict=True):
        ours.assign(tf.cast(theirs.value, ours.dtype))
    finalize_statistics(copy)
    return copy


def _with_dtype(config):
    """A configuration with every floating dtype and policy replaced by float64."""
    if isinstance(config, list | tuple):
        return type(config)(_with_dtype(x) for x in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return "float64"
    is_float = isinstance(config.get("dtype"), str) and "float" in config["dtype"]
    changed = {"dtype": "float64"} if is_float else {}
    return {key: _with_dtype(value) for key, value in config.items()} | changed


def check(outputs, values, random):
    """Compares first and second derivatives of `outputs` with numerical ones.

    Args:
      outputs: function from a list of float64 tensors to a list of tensors.
      values: where.
      random: NumPy generator.

    Returns:
      Tuple (verdict, relative error of the first, and of the second derivative), the verdict
      "exact", "wrong", "first-order only" or "disconnected".
    """
    value = _scalar(outputs, values, random)
    if all(g is None for g in _gradient(value, values)):
        return "disconnected", np.nan, np.nan
    first, second, lost = np.inf, np.inf, False
    for step, noise in ATTEMPTS:
        near = [v + noise * random.normal(size=v.shape) for v in values]
        errors = _errors(value, near, step, random)
        lost = errors[1] is None
        first, second = np.fmin(first, errors[0]), np.fmin(second, 1.0 if lost else errors[1])
        if max(first, second) < TOLERANCE:
            return "exact", first, second
    if first < TOLERANCE and lost:
        return "first-order only", first, second
    return "wrong", first, second


def _errors(value, values, step, random):
    """Relative errors of the first and the second derivative; of that None if there is none."""
    along, across = ([direction(v.shape, random) for v in values] for _ in range(2))
    ends = [_shift(values, along, s) for s in (step, -step)]
    gradient = _gradient(value, values)
    expected = (value(ends[0]) - value(ends[1])) / (2 * step)
    first = relative_error(_dot(gradient, along), expected, _norm(gradient))
    slopes = [_dot(_gradient(value, end), across) for end in ends]
    expected = (slopes[0] - slopes[1]) / (2 * step)
    found = _second(value, values, across)
    if found is None:
        # No second derivative is the right one of a piecewise linear function.
        flat = relative_error(0.0, expected, _norm(gradient)) < TOLERANCE
        return first, 0.0 if flat else None
    return first, relative_error(_dot(found, along), expected, max(_norm(found), _norm(gradient)))


def relative_error(found, expected, scale):
    """`|found - expected|` relative to both, or to 1e-3 of the gradient's norm `scale`."""
    found, expected, scale = float(found), float(expected), float(scale)
    reference = max(abs(found), abs(expected), 1e-3 * scale)
    return abs(found - expected) / reference if reference else 0.0


def suspects(outputs, values):
    """Names of operations whose gradient somebody has changed, one string.

    These are `tf.stop_gradient` (there is one in `tf.nn.moments`) and `tf.custom_gradient`.
    """
    specs = [tf.TensorSpec(v.shape, v.dtype) for v in values]
    trace = tf.function(lambda *v: outputs(list(v)), autograph=False)
    graph = trace.get_concrete_function(*specs).graph
    graphs = [graph, *graph_functions(graph)]
    names = [op.name for op in graphs[0].get_operations() if _changed(op)]
    return ", ".join(dict.fromkeys(names))


def _changed(op):
    if op.type in ("StopGradient", "PreventGradient"):
        return True
    attributes = op.node_def.attr
    return op.type == "IdentityN" and b"CustomGradient" in attributes["_gradient_op_type"].s


def _scalar(outputs, values, random):
    """A curved function of all outputs, whose cotangent does not sum to zero."""
    start = outputs(values)
    # A cotangent that sums to zero would hide a wrong gradient of a mean.
    cotangents = [tf.constant(random.normal(size=y.shape) + 1.0) for y in start]
    sizes = [1.0 + float(tf.reduce_max(tf.abs(y))) for y in start]

    def value(values):
        parts = zip(outputs(values), cotangents, sizes, strict=True)
        return tf.add_n([tf.reduce_sum(c * tf.sin(y / s)) for y, c, s in parts])

    return value


def _gradient(value, values):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = value(values)
    return tape.gradient(result, values)


def _second(value, values, across):
    """Gradient of the slope along `across`; None where it does not exist."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        slope = _dot(_gradient(value, values), across)
    try:
        found = tape.gradient(slope, values)
    except (LookupError, NotImplementedError):
        return None
    return None if all(f is None for f in found) else found


def direction(shape, random):
    """A random direction that has a constant part.

    The error of `tf.nn.moments` lies along constants; without one, it vanishes in large batches.
    """
    return random.normal(size=shape) + 1.0


def _shift(values, direction, step):
    return [v + step * d for v, d in zip(values, direction, strict=True)]


def _dot(gradient, direction):
    terms = [
        tf.reduce_sum(g * d) for g, d in zip(gradient, direction, strict=True) if g is not None
    ]
    return tf.add_n(terms) if terms else tf.constant(0.0, tf.float64)


def _norm(gradient):
    return np.sqrt(sum(float(tf.reduce_sum(tf.square(g))) for g in gradient if g is not None))
