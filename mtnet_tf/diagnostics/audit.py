"""`audit`: compares the derivatives of a model with numerical derivatives, in float64."""

import dataclasses
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import check_keras_model
from mtnet_tf.diagnostics.audit_arguments import as_tensors, check_arguments, check_output
from mtnet_tf.diagnostics.audit_report import Audit, Finding
from mtnet_tf.diagnostics.function_derivatives import check_derivatives
from mtnet_tf.diagnostics.infinite_gradients import explain_infinite_gradient
from mtnet_tf.diagnostics.inner_step import InnerStep
from mtnet_tf.diagnostics.layer_calls import LayerCall, check_layer, is_float, record_calls
from mtnet_tf.diagnostics.numerical_derivatives import DOUBLE, SINGLE, Precision, in_float64
from mtnet_tf.diagnostics.operations import suspects
from mtnet_tf.diagnostics.stock_layers import alternative_to
from mtnet_tf.meta import TaskLoss, single_output
from mtnet_tf.tasks import Episode

_FIXES = {
    "disconnected": "no gradient flows through the layer; replace the operation that stops it",
    "first-order only": "train with first_order=True, or give the operation a second derivative",
    "wrong": "rewrite the operation with differentiable operations",
}
_ABOVE = "fix the layers above"
_OUTSIDE = "every layer is exact; look at operations outside of layers"


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
        x: inputs of one task, [n, ...], n >= 2; a dict or list of them if the model has several
            inputs. The first half is the support set.
        y: labels, [n, ...].
        loss: Keras loss, its name, or a function that returns one value per example.
        step_size: step size of the inner step, in units of weight^2 per unit of the loss.
        seed: seed of the directions.

    Returns:
        `Audit`. Print it to see a table.

    Raises:
        ValueError: if the model is not built, cannot be copied, or has outputs that are not
            floating-point numbers; or if the inputs have a wrong shape or are not finite.
    """
    check_keras_model(model)
    x, y = as_tensors(model, x), tf.convert_to_tensor(y)
    check_arguments(model, x, y)
    copy = in_float64(model, x)
    x = tf.nest.map_structure(lambda t: tf.cast(t, tf.float64) if is_float(t) else t, x)
    calls = record_calls(copy, x)
    check_output(model, single_output(copy(x)))
    random = np.random.default_rng(seed)
    findings = [_audit_layer(call, random) for call in calls]
    findings = [finding for finding in findings if finding is not None]
    step = InnerStep(copy, cast(TaskLoss, keras.losses.get(loss)), _halves(x, y), step_size)
    # Rounding must not be an excuse for a layer that is wrong.
    rounds = any(call.in_float32 for call in calls)
    exact = all(finding.verdict == "exact" for finding in findings)
    precision = SINGLE if rounds and exact else DOUBLE
    whole = _audit_meta_gradient(step, random, precision)
    return Audit(*_explained(step, calls, findings, whole))


def _halves(x: Any, y: tf.Tensor) -> Episode:
    """One task; the first half is its support set."""
    half = len(y) // 2
    support, query = (
        tf.nest.map_structure(lambda t, part=part: t[None, part], (x, y))
        for part in (slice(half), slice(half, None))
    )
    return Episode(*support, *query)


def _audit_layer(call: LayerCall, random: np.random.Generator) -> Finding | None:
    """Checks one layer; None if it has no weights and no inputs with derivatives."""
    outputs, values = call.as_function()
    if not values:
        return None
    found = check_layer(call, random)
    operation = fix = ""
    if found[0] != "exact":
        fix = alternative_to(call.layer) or _FIXES[found[0]]
        operation = suspects(outputs, values)
    return Finding(call.layer.name, type(call.layer).__name__, *found, operation, fix)


def _audit_meta_gradient(
    step: InnerStep, random: np.random.Generator, precision: Precision
) -> Finding:
    def finding(verdict: str, error: float, fix: str = "") -> Finding:
        return Finding("whole model", "meta-gradient", verdict, error, error, "", fix)

    try:
        gradients = step.meta_gradients()
    except (LookupError, NotImplementedError):
        return finding("first-order only", np.nan, _FIXES["first-order only"])
    if not all(np.all(np.isfinite(g)) for g in gradients):
        return finding("not finite", np.nan)
    error = step.error(gradients, random, precision)
    return finding("exact" if error < precision.tolerance else "wrong", error)


def _explained(
    step: InnerStep, calls: list[LayerCall], findings: list[Finding], whole: Finding
) -> tuple[list[Finding], Finding]:
    """The findings, with what makes the meta-gradient wrong or infinite."""
    if whole.verdict == "not finite":
        return explain_infinite_gradient(step, calls, findings, whole)
    if whole.verdict == "first-order only" and any(f.verdict == "disconnected" for f in findings):
        return findings, dataclasses.replace(whole, fix=_ABOVE)
    if whole.verdict != "wrong":
        return findings, whole
    outputs, values = step.loss_function()
    found = check_derivatives(outputs, values, np.random.default_rng(0))
    if found[0] != "exact":
        operation = suspects(outputs, values)
        loss = Finding("loss", step.loss_name, *found, operation, _FIXES[found[0]])
        findings = [*findings, loss]
    known = any(finding.verdict != "exact" for finding in findings)
    fix = _ABOVE if known else _OUTSIDE
    operation = "" if known else suspects(*step.model_function())
    return findings, dataclasses.replace(whole, operation=operation, fix=fix)
