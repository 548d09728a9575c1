"""`audit`: can this model be meta-learned? Its derivatives against numerical ones, in float64."""

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import Functional, flatten_layers
from mtnet_tf.diagnostics.audit_report import Audit, Finding
from mtnet_tf.diagnostics.numerical_derivatives import (
    ATTEMPTS,
    TOLERANCE,
    check,
    direction,
    in_float64,
    relative_error,
    suspects,
)
from mtnet_tf.layers import TaskWeight, TWLayer, find_task_weights
from mtnet_tf.meta import meta_gradients, meta_loss
from mtnet_tf.tasks import Episode

_NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)
_MENDS = {
    "disconnected": "no gradient passes: take what stops it out, or keep it off the path",
    "first-order only": "train with first_order=True, or give the operation a second derivative",
    "wrong": "write the operation out in differentiable ones",
}


def audit(model, x, y, loss, *, step_size=0.1, seed=0):
    """Compares a model's first and second derivatives with numerical ones.

    Meta-gradients need second derivatives, which TensorFlow gets wrong for some operations
    without a word. A copy of the model in float64 is called as in training; each layer and the
    meta-gradient of one inner step are checked along random directions by central differences.
    Masks are left out: a straight-through gradient is no derivative.

    Example:
    >>> print(audit(model, x, y, "sparse_categorical_crossentropy"))

    Args:
      model: built Keras model that Keras can serialise, [n, ...] -> [n, ...].
      x: inputs of one task, [n, ...], n >= 2; half of them are the support set.
      y: labels, [n, ...].
      loss: Keras loss, its name, or a function that gives one value per example.
      step_size: of the inner step.
      seed: of the directions.

    Returns:
      `Audit`.

    Raises:
      ValueError: if the model is not built or can't be copied, or for inputs of a wrong shape.
    """
    _check(model, x, y)
    copy = in_float64(model, x)
    x = tf.convert_to_tensor(x)
    x = tf.cast(x, tf.float64) if x.dtype.is_floating else x
    random = np.random.default_rng(seed)
    calls = _record_calls(copy, x)
    findings = [_audit_layer(*call, random) for call in calls]
    findings = [finding for finding in findings if finding is not None]
    episode = _halves(x, tf.convert_to_tensor(y))
    whole = _audit_meta_gradient(copy, episode, keras.losses.get(loss), step_size, random)
    return Audit(findings, whole)


def _check(model, x, y):
    if not model.built:
        raise ValueError(
            f"`model` must be built. Received: {model.name} without weights; call it on data once."
        )
    shapes = f"Received: x of shape {tuple(np.shape(x))}, y of shape {tuple(np.shape(y))}"
    if len(x) < 2 or len(x) != len(y):
        raise ValueError(f"`x` and `y` must hold the same examples, two at least. {shapes}.")
    if not isinstance(model, keras.Sequential | Functional):
        return  # a subclass does not say what it takes
    if len(model.inputs) != 1:
        raise ValueError(
            f"`model` must have one input. Received: {model.name} with {len(model.inputs)}."
        )
    expected = tuple(model.inputs[0].shape[1:])
    if not tf.TensorShape(expected).is_compatible_with(np.shape(x)[1:]):
        raise ValueError(f"`x` must have the shape (n, *{expected}) that fits the model. {shapes}.")


def _halves(x, y):
    """One task, its first half the support set."""
    half = len(x) // 2
    return Episode(x[None, :half], y[None, :half], x[None, half:], y[None, half:])


def _record_calls(model, x):
    """(layer, arguments, keyword arguments) of every layer that is part of no other layer."""
    calls, seen, inside = [], set(), []

    def watch(layer):
        call = layer.call

        def recorder(*args, **kwargs):
            if not inside and id(layer) not in seen:
                seen.add(id(layer))
                calls.append((layer, args, kwargs))
            inside.append(layer)
            try:
                return call(*args, **kwargs)
            finally:
                inside.pop()

        layer.call = recorder
        return layer, call

    parts = [x for x in flatten_layers(model) if not isinstance(x, keras.Model)]
    watched = [watch(part) for part in parts]
    model(x, training=True)
    for layer, call in watched:
        layer.call = call
    return [c for c in calls if not isinstance(c[0], keras.layers.InputLayer)]


def _audit_layer(layer, args, kwargs, random):
    tensors = [a for a in tf.nest.flatten((args, kwargs)) if _is_float(a)]
    values = [*tensors, *(v.value for v in layer.trainable_variables)]
    if not values:
        return None

    def outputs(values):
        given = iter(values)
        swapped = tf.nest.map_structure(
            lambda a: next(given) if _is_float(a) else a, (args, kwargs)
        )
        state = [(v, tf.convert_to_tensor(v.value)) for v in layer.non_trainable_variables]
        # A new scope at each call: noise is the same again, moving statistics stay.
        lent = [*zip(layer.trainable_variables, given, strict=True), *state]
        with keras.StatelessScope(lent):
            found = layer(*swapped[0], **swapped[1])
        return [f for f in tf.nest.flatten(found) if _is_float(f)]

    verdict, first, second = check(outputs, values, random)
    if verdict == "exact":
        return Finding(layer.name, type(layer).__name__, verdict, first, second, "", "")
    operation = suspects(outputs, values)
    mend = _MENDS[verdict]
    if isinstance(layer, _NORMS):
        mend = "convert the model with to_mtnet, which puts an exact layer in its place"
    return Finding(layer.name, type(layer).__name__, verdict, first, second, operation, mend)


def _audit_meta_gradient(model, episode, loss, step_size, random):
    has_cells = any(isinstance(x, TWLayer) and x.trainable for x in flatten_layers(model))
    weights = (
        find_task_weights(model)
        if has_cells
        else [TaskWeight(v, None, flattened=False) for v in model.trainable_variables]
    )
    options = {"num_inner_steps": 1, "step_size": step_size, "masks": None}
    parameters = model.trainable_variables
    state = [(v, v.numpy()) for v in model.non_trainable_variables]

    def gradients():
        _assign(state)
        return meta_gradients(model, weights, parameters, loss, episode, **options)[1]

    def value():
        _assign(state)
        result = meta_loss(model, weights, loss, episode, **options).value
        return float(tf.add_n([result, *model.losses]))

    try:
        analytical = [tf.convert_to_tensor(g).numpy() for g in gradients()]
    except (LookupError, NotImplementedError):
        verdict = "first-order only"
        return Finding("whole model", "meta-gradient", verdict, np.nan, np.nan, "", _MENDS[verdict])
    error = _error_of(analytical, value, parameters, random)
    _assign(state)
    is_exact = error < TOLERANCE
    verdict, mend = ("exact", "") if is_exact else ("wrong", "mend the layers above")
    return Finding("whole model", "meta-gradient", verdict, error, error, "", mend)


def _error_of(gradient, value, parameters, random):
    """Relative error of the gradient of a function without arguments, of its best attempt."""
    starts = [v.numpy() for v in parameters]
    scale = np.sqrt(sum(np.sum(g * g) for g in gradient))
    best = np.inf
    for step, _ in ATTEMPTS:
        along = [direction(v.shape, random) for v in starts]
        ends = []
        for sign in (step, -step):
            moved = [s + sign * d for s, d in zip(starts, along, strict=True)]
            _assign(zip(parameters, moved, strict=True))
            ends.append(value())
        _assign(zip(parameters, starts, strict=True))
        slope = sum(np.sum(g * d) for g, d in zip(gradient, along, strict=True))
        expected = (ends[0] - ends[1]) / (2 * step)
        best = min(best, relative_error(slope, expected, scale))
        if best < TOLERANCE:
            break
    return best


def _assign(pairs):
    for variable, value in pairs:
        variable.assign(value)


def _is_float(x):
    return tf.is_tensor(x) and x.dtype.is_floating
