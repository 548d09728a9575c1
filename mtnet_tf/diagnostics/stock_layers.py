"""Rejects layers whose derivatives in TensorFlow are wrong, where gradients pass through them."""

import types
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from mtnet_tf._keras import Functional, check_keras_model, flatten_layers
from mtnet_tf.diagnostics.derivative_rules import Rule, rule_of
from mtnet_tf.diagnostics.gradient_flow import gradient_flow
from mtnet_tf.layers import find_task_weights


def check_stock_layers(
    model: keras.Model,
    first_order: bool,
    *,
    adapt_layers: str | keras.layers.Layer | Sequence[str | keras.layers.Layer] | None = None,
    only_warn: bool = False,
) -> None:
    """Raises ValueError if a model contains layers that make meta-gradients wrong.

    A second derivative of a layer is used if an adapted weight is in the layer or before it. A
    layer before all adapted weights, such as one that prepares the inputs, is therefore allowed,
    unless it has trainable weights. A layer whose first derivative is wrong must not follow any
    trainable weight. Layers are found in nested models, in wrappers and in other layers. Models
    with layers or functions of the user are traced once to find TensorFlow's operations in them.

    Args:
        model: Keras model.
        first_order: whether second derivatives are left out. Then only layers whose first
            derivative is wrong, and batch normalisation, which mixes tasks, are rejected.
        adapt_layers: the layers that adapt, see `find_task_weights`.
        only_warn: warns about wrong derivatives instead; batch normalisation is still rejected.
    """
    check_keras_model(model)
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            raise ValueError(
                _message(_described(layer), "", "it mixes tasks", alternative_to(layer))
            )
    for name, rule in _wrong_parts(model, first_order, adapt_layers):
        order = "first" if rule.first_order else "second"
        problem = f"its {order} derivative in TensorFlow is wrong"
        message = _message(name, " where gradients pass through it", problem, rule.alternative)
        if not only_warn:
            raise ValueError(f"{message} To train anyway, pass check_derivatives=False.")
        warnings.warn(message, stacklevel=3)


def alternative_to(layer: keras.layers.Layer) -> str:
    """What to use instead of a layer; empty if it is exact, as far as is known."""
    rule = rule_of(layer)
    return rule.alternative if rule else ""


def _message(name: str, where: str, problem: str, alternative: str) -> str:
    return (
        f"`model` must not contain {name.partition(' ')[0]}{where}, because {problem}. "
        f"Received: {name}. {alternative}."
    )


def _wrong_parts(
    model: keras.Model,
    first_order: bool,
    adapt_layers: str | keras.layers.Layer | Sequence[str | keras.layers.Layer] | None,
) -> list[tuple[str, Rule]]:
    """Descriptions of the layers and operations that make meta-gradients wrong, and their rules."""
    broken = [
        (layer, rule)
        for layer in flatten_layers(model)
        if (rule := rule_of(layer)) and (rule.first_order or not first_order)
    ]
    found = [(_described(layer), rule) for layer, rule in broken if layer.trainable_variables]
    if found or not (broken or _has_code_of_the_user(model)):
        return found
    adapted = [weight.variable for weight in find_task_weights(model, adapt_layers)]
    flow = gradient_flow(model, adapted, {id(layer): rule for layer, rule in broken}, first_order)
    found = [
        (_described(layer), rule)
        for layer, rule in broken
        if flow is None or id(layer) in flow.layers
    ]
    if found or flow is None:
        return found
    return [(f"{op.type} ({op.name})", rule) for op, rule in flow.operations]


def _has_code_of_the_user(model: keras.Model) -> bool:
    """Whether a model contains more than layers of Keras and this package that are known."""
    for layer in flatten_layers(model):
        activations = (getattr(layer, f"{kind}activation", None) for kind in ("", "recurrent_"))
        functional = isinstance(layer, Functional)
        parts = [layer, *activations, *(layer.operations if functional else [])]
        if not all(_is_known(part) for part in parts):
            return True
    return False


def _is_known(part: Any) -> bool:
    """Whether a layer, an activation or an operation is exact unless a rule says otherwise."""
    if part is None:
        return True
    is_layer = isinstance(part, keras.layers.Layer)
    # `CenterCrop` resizes images that are too small, and a Lambda layer computes anything.
    if isinstance(part, keras.layers.Lambda | keras.layers.CenterCrop):
        return False
    if part is keras.activations.softsign or (isinstance(part, keras.Operation) and not is_layer):
        return False
    origin = part if isinstance(part, types.FunctionType) else type(part)
    return origin.__module__.partition(".")[0] in ("keras", "mtnet_tf")


def _described(layer: keras.layers.Layer) -> str:
    return f"{type(layer).__name__} ({layer.name})"
