"""Where a model calls parts that break a rule, and whether a derivative arrives there."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.diagnostics.derivative_rules import Rule, operation_rule
from mtnet_tf.diagnostics.layer_calls import inner_layers, is_float
from mtnet_tf.layers import input_specs, observed_calls

# Operations with floating outputs that are constants for derivatives.
_CONSTANT = frozenset(
    ("StopGradient", "Round", "Rint", "Floor", "Ceil", "FloorDiv", "ZerosLike", "OnesLike")
)


@dataclass(frozen=True)
class GradientFlow:
    """The parts of a model that break a rule and whose inputs depend on weights.

    Attributes:
        layers: ids of layers.
        operations: TensorFlow operations and their rules.
    """

    layers: frozenset[int]
    operations: tuple[tuple[tf.Operation, Rule], ...]


def gradient_flow(
    model: keras.Model,
    adapted: Sequence[keras.Variable],
    rules: Mapping[int, Rule],
    first_order: bool,
) -> GradientFlow | None:
    """Traces a model symbolically, as in training, and follows the derivatives.

    A first derivative is used behind all trainable weights, a second one behind adapted weights.

    Args:
        model: Keras model; it does not change.
        adapted: the weights that adapt.
        rules: the rules that layers break, by the ids of the layers.
        first_order: whether to look only for operations whose first derivative is wrong.

    Returns:
        `GradientFlow`; None if the model cannot be traced, because its input shape is unknown.
    """
    inputs = input_specs(model)
    if inputs is None:
        return None
    found: list[GradientFlow] = []

    def trace(inputs: Any) -> None:
        every = {id(v): v for v in (*model.trainable_variables, *adapted)}
        values = {key: tf.convert_to_tensor(v.value) for key, v in every.items()}
        scope = keras.StatelessScope([(v, values[key]) for key, v in every.items()])
        calls: list[tuple[keras.layers.Layer, list[tf.Tensor]]] = []

        def observe(layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
            if id(layer) in rules:
                calls.append((layer, [t for t in tf.nest.flatten((args, kwargs)) if is_float(t)]))
            return call(*args, **kwargs)

        with scope, observed_calls(inner_layers(model), observe):
            model(inputs, training=True)
        graph = tf.compat.v1.get_default_graph()
        operations = graph.get_operations()  # in the order of computation
        first = _names_behind(operations, [values[id(v)] for v in model.trainable_variables])
        second = _names_behind(operations, [values[id(v)] for v in adapted])

        def used(rule: Rule, tensors: Sequence[tf.Tensor]) -> bool:
            behind = first if rule.first_order else second
            # A layer inside a loop has tensors of another graph, which is not followed.
            return any(t.graph is not graph or t.name in behind for t in tensors)

        broken = [
            (op, rule)
            for op in operations
            if (rule := operation_rule(op)) and (rule.first_order or not first_order)
        ]
        found.append(
            GradientFlow(
                frozenset(id(layer) for layer, ts in calls if used(rules[id(layer)], ts)),
                tuple((op, rule) for op, rule in broken if used(rule, list(op.inputs)[:1])),
            )
        )

    # A model that cannot be traced is treated with caution.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf.function(trace, autograph=False).get_concrete_function(inputs)
    return found[0] if found else None


def _names_behind(operations: Sequence[tf.Operation], weights: Sequence[tf.Tensor]) -> set[str]:
    """The names of the tensors through which a derivative flows to weights.

    A backward pass for each tensor would tell the same, but a deep model has too many of them.
    """
    names = {weight.name for weight in weights}
    for operation in operations:
        if operation.type not in _CONSTANT and any(t.name in names for t in operation.inputs):
            names.update(t.name for t in operation.outputs if not _is_discrete(t.dtype))
    return names


def _is_discrete(dtype: tf.DType) -> bool:
    return dtype.is_integer or dtype.is_bool or dtype == tf.string
