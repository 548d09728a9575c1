"""Where a meta-gradient becomes infinite or undefined, and why."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mtnet_tf.diagnostics.audit_report import Finding
from mtnet_tf.diagnostics.function_derivatives import has_finite_derivatives
from mtnet_tf.diagnostics.inner_step import InnerStep
from mtnet_tf.diagnostics.layer_calls import LayerCall, record_calls
from mtnet_tf.diagnostics.operations import singular_operations

_FIX = "keep the argument away from this value, for example by adding a small constant"
_TOO_LARGE = "scale its inputs, so that its result stays in the range of numbers"
_INPUTS = "its inputs are not finite; see the first such layer"
_STEP = "the weights after the inner step cause it; use a smaller step_size"


def explain_infinite_gradient(
    step: InnerStep, calls: Sequence[LayerCall], findings: Sequence[Finding], whole: Finding
) -> tuple[list[Finding], Finding]:
    """Finds the layers, or the loss, whose derivatives are not finite.

    They are looked for with the initial weights and, if there are none, after the inner step.

    Args:
        step: the inner step.
        calls: the calls of the layers.
        findings: what is known about the layers.
        whole: what is known about the meta-gradient, which is not finite.

    Returns:
        Pair (findings, whole) with the names of the layers and operations.
    """
    culprits = _culprits(step, calls)
    suffix = ""
    if not culprits:
        step.take()
        x = tf.nest.map_structure(lambda t: t[0], step.episode.query_x)
        culprits = _culprits(step, record_calls(step.model, x))
        suffix = " after the inner step"
    if all(culprit.fix == _INPUTS for culprit in culprits):
        return list(findings), dataclasses.replace(whole, fix=_STEP)
    merged = {f.layer: f for f in findings} | {c.layer: c for c in culprits}
    first = next(culprit for culprit in culprits if culprit.fix != _INPUTS)
    fix = f"the derivative of {first.layer} ({first.kind}) is not finite{suffix}; see above"
    return list(merged.values()), dataclasses.replace(whole, fix=fix)


def _culprits(step: InnerStep, calls: Sequence[LayerCall]) -> list[Finding]:
    """A finding for each layer, and the loss, with infinite derivatives or infinite inputs."""
    parts = [(c.layer.name, type(c.layer).__name__, *c.as_function()) for c in calls]
    parts.append(("loss", step.loss_name, *step.loss_function()))
    found = []
    for name, kind, outputs, values in parts:
        if not values or has_finite_derivatives(outputs, values):
            continue
        operation, fix = "", _INPUTS
        if all(bool(tf.reduce_all(tf.math.is_finite(v))) for v in values):
            operation = singular_operations(outputs, values)
            fix = _TOO_LARGE if operation.endswith("is not finite)") else _FIX
        found.append(Finding(name, kind, "not finite", np.nan, np.nan, operation, fix))
    return found
