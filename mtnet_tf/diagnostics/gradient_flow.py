"""What a model calls where a derivative with respect to some of its weights arrives."""

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.diagnostics.derivative_rules import operation_rule
from mtnet_tf.diagnostics.layer_calls import is_float, observed_calls
from mtnet_tf.layers import input_specs


@dataclass(frozen=True)
class GradientFlow:
    """The layers and operations of a model through which derivatives flow.

    Attributes:
        layers: ids of the layers whose inputs depend on the weights.
        operations: TensorFlow operations that break a rule and whose inputs depend on them.
    """

    layers: frozenset[int]
    operations: tuple[tf.Operation, ...]


def gradient_flow(model: keras.Model, variables: Sequence[keras.Variable]) -> GradientFlow | None:
    """Traces a model symbolically, as in training, and follows the derivatives.

    Args:
        model: Keras model; it does not change.
        variables: the weights.

    Returns:
        `GradientFlow`; None if the model cannot be traced, because its input shape is unknown.
    """
    inputs = input_specs(model)
    if inputs is None:
        return None
    found: list[GradientFlow] = []

    def trace(inputs: Any) -> None:
        values = [tf.convert_to_tensor(v.value) for v in variables]
        scope = keras.StatelessScope(list(zip(variables, values, strict=True)))
        calls: list[tuple[keras.layers.Layer, list[tf.Tensor]]] = []

        def observe(layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
            calls.append((layer, [t for t in tf.nest.flatten((args, kwargs)) if is_float(t)]))
            return call(*args, **kwargs)

        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(values)
            with scope, observed_calls(model, observe):
                model(inputs, training=True)
        graph = tf.compat.v1.get_default_graph()

        def depends(tensors: Sequence[Any]) -> bool:
            # A layer inside a loop has tensors of another graph, in which no tape records.
            inner = any(t.graph is not graph for t in tensors)
            return inner or any(g is not None for t in tensors for g in tape.gradient(t, values))

        operations = [op for op in graph.get_operations() if operation_rule(op)]
        found.append(
            GradientFlow(
                frozenset(id(layer) for layer, tensors in calls if depends(tensors)),
                tuple(op for op in operations if depends(list(op.inputs)[:1])),
            )
        )

    # A model that cannot be traced is treated with caution.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf.function(trace, autograph=False).get_concrete_function(inputs)
    return found[0] if found else None
