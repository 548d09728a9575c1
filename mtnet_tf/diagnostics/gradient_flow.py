"""What a model calls where a derivative with respect to some of its weights arrives."""

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf._keras import Functional
from mtnet_tf.diagnostics.derivative_rules import operation_rule
from mtnet_tf.diagnostics.layer_calls import is_float, observed_calls


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
    inputs = _input_specs(model)
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


def _input_specs(model: keras.Model) -> Any:
    """Specifications of the inputs, in the structure of the inputs; None if they are unknown."""
    if isinstance(model, keras.Sequential | Functional):
        inputs: Any = model.inputs if isinstance(model, keras.Sequential) else model.input
        specs = tf.nest.map_structure(lambda i: tf.TensorSpec(i.shape, i.dtype), inputs)
        return specs[0] if isinstance(specs, list) and len(specs) == 1 else specs
    shape = (model.get_build_config() or {}).get("input_shape")
    return _specs_of(shape, model.compute_dtype) if shape else None


def _specs_of(shape: Any, dtype: str) -> Any:
    """Specifications for a structure of shapes; the number of examples is unknown."""
    if isinstance(shape, dict):
        return {key: _specs_of(part, dtype) for key, part in shape.items()}
    if any(isinstance(part, list | tuple | dict) for part in shape):
        return [_specs_of(part, dtype) for part in shape]
    return tf.TensorSpec([None, *shape[1:]], dtype)
