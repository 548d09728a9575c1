"""Which TensorFlow operations of a function cause a wrong or an infinite derivative."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from mtnet_tf._keras import graph_functions
from mtnet_tf.diagnostics.derivative_rules import operation_rule
from mtnet_tf.diagnostics.function_derivatives import Outputs

# Operations whose derivative is infinite or undefined for some arguments: a condition on their
# inputs, and what it means.
_SINGULAR: dict[str, tuple[Callable[..., tf.Tensor], str]] = {
    **dict.fromkeys(("Sqrt", "Rsqrt", "Log"), (lambda x: x <= 0, "a number that is 0 or less")),
    **dict.fromkeys(("Reciprocal", "Inv"), (lambda x: tf.equal(x, 0), "0")),
    **dict.fromkeys(("RealDiv", "Div"), (lambda x, y: tf.equal(y, 0), "a divisor that is 0")),
    **dict.fromkeys(("Asin", "Acos", "Atanh"), (lambda x: tf.abs(x) >= 1, "1 or -1")),
    "Log1p": (lambda x: x <= -1, "a number that is -1 or less"),
    "Acosh": (lambda x: x <= 1, "a number that is 1 or less"),
    "Pow": (lambda x, y: tf.equal(x, 0) & (y < 2) & (y != 0) & (y != 1), "0"),
}


def suspects(outputs: Outputs, values: Sequence[tf.Tensor]) -> str:
    """Names of the operations whose gradient is not the default one, in one string.

    These are `tf.stop_gradient` (`tf.nn.moments` contains one), `tf.custom_gradient`, and the
    operations of `OPERATION_RULES`.

    Args:
        outputs: function from a list of tensors to a list of tensors.
        values: tensors with the shapes and dtypes of its arguments.
    """
    specs = [tf.TensorSpec(v.shape, v.dtype) for v in values]
    trace = tf.function(lambda *v: outputs(list(v)), autograph=False)
    graph = trace.get_concrete_function(*specs).graph
    graphs = [graph, *graph_functions(graph)]
    names = [op.name for op in graphs[0].get_operations() if _changed(op)]
    return ", ".join(dict.fromkeys(names))


def singular_operations(outputs: Outputs, values: Sequence[tf.Tensor]) -> str:
    """Operations that get an argument at which their derivative is infinite or undefined.

    Example:
    >>> singular_operations(lambda v: [tf.sqrt(v[0], "root")], [tf.constant([0.0, 1.0])])
    'root (Sqrt of a number that is 0 or less)'

    Args:
        outputs: function from a list of tensors to a list of tensors.
        values: its arguments.

    Returns:
        Their names and arguments in one string; the first operation whose result is not finite if
        there are none; empty if there is none either.
    """
    operations: list[tf.Operation] = []

    @tf.function(autograph=False)
    def inside(*values: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        outputs(list(values))
        graph = tf.compat.v1.get_default_graph()
        operations[:] = [op for op in graph.get_operations() if _has_float_result(op)]
        singular = [_is_singular(op) for op in operations]
        finite = [tf.reduce_all(tf.math.is_finite(op.outputs[0])) for op in operations]
        return singular, finite

    singular, finite = inside(*values)
    found = [op for op, flag in zip(operations, singular, strict=True) if bool(flag)]
    if found:
        return ", ".join(f"{op.name} ({op.type} of {_SINGULAR[op.type][1]})" for op in found)
    infinite = [op.name for op, flag in zip(operations, finite, strict=True) if not bool(flag)]
    return f"{infinite[0]} (its result is not finite)" if infinite else ""


def _changed(op: tf.Operation) -> bool:
    if op.type in ("StopGradient", "PreventGradient") or operation_rule(op) is not None:
        return True
    attributes = op.node_def.attr
    return op.type == "IdentityN" and b"CustomGradient" in attributes["_gradient_op_type"].s


def _has_float_result(op: tf.Operation) -> bool:
    return bool(op.outputs) and op.outputs[0].dtype.is_floating


def _is_singular(op: tf.Operation) -> tf.Tensor:
    if op.type not in _SINGULAR:
        return tf.constant(False)
    condition, _ = _SINGULAR[op.type]
    return tf.reduce_any(condition(*op.inputs))
