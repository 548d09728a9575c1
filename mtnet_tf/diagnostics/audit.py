"""`audit`: compares the derivatives of a model with numerical derivatives, in float64."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import Functional, flatten_layers
from mtnet_tf.diagnostics.audit_report import Audit, Finding
from mtnet_tf.diagnostics.numerical_derivatives import (
    TOLERANCE,
    check_derivatives,
    gradient_error,
    in_float64,
    restored,
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
_FIXES = {
    "disconnected": "no gradient flows through the layer; replace the operation that stops it",
    "first-order only": "train with first_order=True, or give the operation a second derivative",
    "wrong": "rewrite the operation with differentiable operations",
}


@dataclass(frozen=True)
class _LayerCall:
    """A layer and the arguments of its first call."""

    layer: keras.layers.Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def audit(
    model: keras.Model, x: Any, y: Any, loss: Any, *, step_size: float = 0.1, seed: int = 0
) -> Audit:
    """Compares the first and second derivatives of a model with numerical ones.

    Meta-gradients need second derivatives, and TensorFlow silently computes wrong ones for some
    operations. The audit copies the model to float64 and calls the copy as in training. It checks
    each layer, and the meta-gradient of one inner step, along random directions by central
    differences. Masks are left out, because a straight-through gradient is not a derivative. The
    model itself does not change.

    Example:
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "tanh")])
    >>> audit(model, np.eye(2), np.ones((2, 1)), "mean_squared_error").exact
    True

    Args:
        model: built Keras model that Keras can serialise, [n, ...] -> [n, ...].
        x: inputs of one task, [n, ...], n >= 2. The first half is the support set.
        y: labels, [n, ...].
        loss: Keras loss, its name, or a function that returns one value per example.
        step_size: step size of the inner step, in units of weight^2 per unit of the loss.
        seed: seed of the directions.

    Returns:
        `Audit`. Print it to see a table.

    Raises:
        ValueError: if the model is not built or cannot be copied, or if the inputs have a wrong
            shape.
    """
    _check(model, x, y)
    copy = in_float64(model, x)
    x = tf.convert_to_tensor(x)
    x = tf.cast(x, tf.float64) if x.dtype.is_floating else x
    random = np.random.default_rng(seed)
    findings = [_audit_layer(call, random) for call in record_calls(copy, x)]
    findings = [finding for finding in findings if finding is not None]
    episode = _halves(x, tf.convert_to_tensor(y))
    whole = _audit_meta_gradient(copy, episode, keras.losses.get(loss), step_size, random)
    return Audit(findings, whole)


def _check(model: keras.Model, x: Any, y: Any) -> None:
    if not model.built:
        raise ValueError(
            f"`model` must be built. Received: {model.name}, which has no weights yet. Call it on "
            "data once."
        )
    shapes = f"Received: x of shape {tuple(np.shape(x))}, y of shape {tuple(np.shape(y))}"
    if len(x) < 2 or len(x) != len(y):
        raise ValueError(f"`x` and `y` must contain the same two or more examples. {shapes}.")
    if not isinstance(model, keras.Sequential | Functional):
        return  # the input shape of a subclass is unknown
    if len(model.inputs) != 1:
        raise ValueError(
            f"`model` must have one input. Received: {model.name} with {len(model.inputs)}."
        )
    expected = tuple(model.inputs[0].shape[1:])
    if not tf.TensorShape(expected).is_compatible_with(np.shape(x)[1:]):
        raise ValueError(f"`x` must have the shape (n, *{expected}) that fits the model. {shapes}.")


def _halves(x: tf.Tensor, y: tf.Tensor) -> Episode:
    """One task; the first half is its support set."""
    half = len(x) // 2
    return Episode(x[None, :half], y[None, :half], x[None, half:], y[None, half:])


def record_calls(model: keras.Model, x: tf.Tensor) -> list[_LayerCall]:
    """The first call of every layer that is not inside another layer."""
    calls: list[_LayerCall] = []
    seen: set[int] = set()
    inside: list[keras.layers.Layer] = []

    def recorder_of(layer: keras.layers.Layer) -> Callable[..., Any]:
        call = layer.call

        def recorder(*args: Any, **kwargs: Any) -> Any:
            if not inside and id(layer) not in seen:
                seen.add(id(layer))
                calls.append(_LayerCall(layer, args, kwargs))
            inside.append(layer)
            try:
                return call(*args, **kwargs)
            finally:
                inside.pop()

        return recorder

    with contextlib.ExitStack() as stack:
        for layer in flatten_layers(model):
            if not isinstance(layer, keras.Model):
                stack.enter_context(_call_replaced(layer, recorder_of(layer)))
        model(x, training=True)
    return [call for call in calls if not isinstance(call.layer, keras.layers.InputLayer)]


@contextlib.contextmanager
def _call_replaced(layer: Any, call: Callable[..., Any]) -> Iterator[None]:
    """Replaces the `call` of one layer, and restores it even if the body raises."""
    own = vars(layer).get("call")  # usually None: `call` belongs to the class
    layer.call = call
    try:
        yield
    finally:
        if own is None:
            del layer.call
        else:
            layer.call = own


def _audit_layer(call: _LayerCall, random: np.random.Generator) -> Finding | None:
    """Checks one layer; None if it has no weights and no inputs with derivatives."""
    layer, arguments = call.layer, (call.args, call.kwargs)
    tensors = [a for a in tf.nest.flatten(arguments) if _is_float(a)]
    values = [*tensors, *(v.value for v in layer.trainable_variables)]
    if not values:
        return None

    def outputs(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        given = iter(values)
        args, kwargs = tf.nest.map_structure(
            lambda a: next(given) if _is_float(a) else a, arguments
        )
        state = [(v, tf.convert_to_tensor(v.value)) for v in layer.non_trainable_variables]
        # With a new scope for each call, noise is the same and moving statistics do not change.
        lent = [*zip(layer.trainable_variables, given, strict=True), *state]
        with keras.StatelessScope(lent):
            found = layer(*args, **kwargs)
        return [f for f in tf.nest.flatten(found) if _is_float(f)]

    verdict, first, second = check_derivatives(outputs, values, random)
    operation = fix = ""
    if verdict != "exact":
        operation, fix = suspects(outputs, values), _FIXES[verdict]
        if isinstance(layer, _NORMS):
            fix = "convert the model with to_mtnet, which inserts an exact layer"
    return Finding(layer.name, type(layer).__name__, verdict, first, second, operation, fix)


def _audit_meta_gradient(
    model: keras.Model, episode: Episode, loss: Any, step_size: float, random: np.random.Generator
) -> Finding:
    weights = _task_weights(model)
    options: dict[str, Any] = {"num_inner_steps": 1, "step_size": step_size, "masks": None}
    parameters = model.trainable_variables

    def gradients() -> list[np.ndarray]:
        with restored(model.non_trainable_variables):
            found = meta_gradients(model, weights, parameters, loss, episode, **options)[1]
        return [tf.convert_to_tensor(g).numpy() for g in found]

    def value() -> float:
        with restored(model.non_trainable_variables):
            result = meta_loss(model, weights, loss, episode, **options).value
        return float(tf.add_n([result, *model.losses]))

    def finding(verdict: str, error: float, fix: str) -> Finding:
        return Finding("whole model", "meta-gradient", verdict, error, error, "", fix)

    try:
        analytical = gradients()
    except (LookupError, NotImplementedError):
        return finding("first-order only", np.nan, _FIXES["first-order only"])
    error = gradient_error(analytical, value, parameters, random)
    if error < TOLERANCE:
        return finding("exact", error, "")
    return finding("wrong", error, "fix the layers above")


def _task_weights(model: keras.Model) -> list[TaskWeight]:
    """The weights of the TW layers, or all trainable weights if there are no TW layers."""
    if any(isinstance(x, TWLayer) and x.trainable for x in flatten_layers(model)):
        return find_task_weights(model)
    return [TaskWeight(v, None, flattened=False) for v in model.trainable_variables]


def _is_float(x: Any) -> bool:
    return tf.is_tensor(x) and x.dtype.is_floating
