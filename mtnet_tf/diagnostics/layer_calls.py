"""The layers that a model calls, and each of them as a function of tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers
from mtnet_tf.diagnostics.function_derivatives import Outputs, check_derivatives
from mtnet_tf.diagnostics.numerical_derivatives import SINGLE
from mtnet_tf.layers import observed_calls

Call = Callable[..., Any]
# What TensorFlow raises if an operation has no float64 kernel.
NO_KERNEL = (
    *(tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.UnimplementedError),
    *(tf.errors.InternalError, TypeError),
)


@dataclass
class LayerCall:
    """A layer and the arguments of its first call.

    Attributes:
        layer: the layer.
        args: positional arguments.
        kwargs: keyword arguments.
        in_float32: whether it computes in float32, because TensorFlow has no float64 kernels.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    in_float32: bool = False

    def as_function(self) -> tuple[Outputs, list[tf.Tensor]]:
        """The layer as a function of its floating inputs and trainable weights.

        Returns:
            Pair (function from a list of tensors to the floating outputs, the tensors of the call).
        """
        layer, arguments = self.layer, (self.args, self.kwargs)
        inputs = [a for a in tf.nest.flatten(arguments) if is_float(a)]

        def outputs(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
            given = iter(values)
            args, kwargs = tf.nest.map_structure(
                lambda a: next(given) if is_float(a) else a, arguments
            )
            state = [(v, tf.convert_to_tensor(v.value)) for v in layer.non_trainable_variables]
            # With a new scope for each call, noise is the same and moving statistics do not change.
            lent = [*zip(layer.trainable_variables, given, strict=True), *state]
            with keras.StatelessScope(lent):
                found = layer(*args, **kwargs)
            return [f for f in tf.nest.flatten(found) if is_float(f)]

        return outputs, [*inputs, *(v.value for v in layer.trainable_variables)]

    def compute_in_float32(self) -> None:
        """Makes the layer, or the layers inside it, cast to float32 and back."""
        self.in_float32 = True
        for layer in flatten_layers(self.layer):
            if not layer.trainable_variables:
                layer.call = _in_float32(layer.call)


def check_layer(
    call: LayerCall, random: np.random.Generator, compiled: bool | None = None
) -> tuple[str, float, float]:
    """Compares the derivatives of a layer with numerical ones, in float64 if it can compute in it.

    Args:
        call: the call; it computes in float32 from then on if float64 is impossible.
        random: NumPy generator.
        compiled: see `check_derivatives`.

    Returns:
        As `check_derivatives`.
    """
    outputs, values = call.as_function()
    if call.in_float32:
        return check_derivatives(outputs, values, random, precision=SINGLE, compiled=compiled)
    try:
        found = check_derivatives(outputs, values, random, compiled=compiled)
    except NO_KERNEL:
        found = None
    if found is None or (found[0] != "exact" and _rounds(outputs(values))):
        call.compute_in_float32()
        found = check_layer(call, random, compiled)
    return found


def _rounds(outputs: Sequence[tf.Tensor]) -> bool:
    """Whether all numbers are float32: some operations accept float64 and compute in float32."""
    return all(
        bool(tf.reduce_all(tf.equal(y, tf.cast(tf.cast(y, tf.float32), y.dtype)))) for y in outputs
    )


def is_float(x: Any) -> bool:
    """Whether it is a floating tensor."""
    return tf.is_tensor(x) and x.dtype.is_floating


def inner_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers of a model and inside them, except models."""
    return [layer for layer in flatten_layers(model) if not isinstance(layer, keras.Model)]


def record_calls(model: keras.Model, x: Any) -> list[LayerCall]:
    """The first call of every layer that is not inside another layer.

    Layers without float64 kernels compute in float32 from then on.

    Args:
        model: Keras model in float64.
        x: its inputs, [n, ...].
    """
    calls: dict[int, LayerCall] = {}
    inside: list[keras.layers.Layer] = []
    narrow: list[Any] = []

    def observe(layer: Any, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not inside:
            calls.setdefault(id(layer), LayerCall(layer, args, kwargs))
        inside.append(layer)
        try:
            return call(*args, **kwargs)
        except NO_KERNEL as error:
            found = _narrow_result(call, args, kwargs, error)
            narrow.append(layer)
            calls[id(inside[0])].in_float32 = True
            return found
        finally:
            inside.pop()

    with observed_calls(inner_layers(model), observe):
        model(x, training=True)
    for layer in narrow:
        layer.call = _in_float32(layer.call)
    return [c for c in calls.values() if not isinstance(c.layer, keras.layers.InputLayer)]


def _narrow_result(
    call: Call, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> Any:
    """The result in float32; raises the original error if there is none either."""
    try:
        return _in_float32(call)(*args, **kwargs)
    except NO_KERNEL:
        raise error from None


def _in_float32(call: Call) -> Call:
    """A function of float64 tensors that computes in float32."""

    def cast(structure: Any, dtype: tf.DType) -> Any:
        return tf.nest.map_structure(lambda x: tf.cast(x, dtype) if is_float(x) else x, structure)

    def narrow(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = cast((args, kwargs), tf.float32)
        return cast(call(*args, **kwargs), tf.float64)

    return narrow
