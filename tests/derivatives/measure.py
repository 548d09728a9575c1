"""Measures the derivatives of a row: eagerly, in a `tf.function`, and with XLA."""

import contextlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf.diagnostics.function_derivatives import check_derivatives
from mtnet_tf.diagnostics.layer_calls import NO_KERNEL, LayerCall, check_layer, is_float
from mtnet_tf.diagnostics.numerical_derivatives import DOUBLE, SINGLE, Precision

from .layer_rows import LAYER_ROWS

MODES = {"eager": None, "graph": False, "XLA": True}
# The neighbours of a value that is "close" must not become equal.
CLOSE = Precision(5e-3, ((3e-4, 0.0),))


class Measurement(NamedTuple):
    """The derivatives of one row in one mode.

    Attributes:
        verdict: "exact", "wrong" (the second derivative), "first derivative wrong", "first-order
            only" (TensorFlow has no second derivative and raises an error), "no gradient" or
            "does not compile".
        first: relative error of the first derivative, None if there is none.
        second: relative error of the second derivative, None if there is none.
        precision: "float64", or "float32" if TensorFlow computes in it.
    """

    verdict: str
    first: float | None = None
    second: float | None = None
    precision: str = "float64"


def measure(row):
    """A `Measurement` for each mode."""
    return {mode: _measured(row, compiled) for mode, compiled in MODES.items()}


def _measured(row, compiled):
    for floatx in ("float64", "float32"):
        try:
            with dtype_of_layers(floatx):
                call = call_of(row)
                call.in_float32 = floatx == "float32"
                if call.in_float32:
                    call.compute_in_float32()
                if row.values == "close":
                    call.compute_in_float32()
                    outputs, values = call.as_function()
                    random = np.random.default_rng(0)
                    found = check_derivatives(
                        outputs, values, random, precision=CLOSE, compiled=compiled
                    )
                else:
                    found = check_layer(call, np.random.default_rng(0), compiled)
        except (*NO_KERNEL, ValueError):
            continue
        return _measurement(*found, call.in_float32)
    return Measurement("does not compile" if compiled else "no kernel")


def _measurement(verdict, first, second, in_float32):
    precision = SINGLE if in_float32 else DOUBLE
    if verdict == "disconnected":
        return Measurement("no gradient")
    if verdict == "wrong" and first > precision.tolerance:
        verdict = "first derivative wrong"
    return Measurement(verdict, float(first), float(second), "float32" if in_float32 else "float64")


def call_of(row):
    """The call of a layer or function, with random weights and inputs."""
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(1)
    inputs = inputs_of(row, random)
    is_layer = row in LAYER_ROWS
    layer = eval(row.code, dict(vars(keras.layers))) if is_layer else Function(row.code)
    several = isinstance(row.shapes, list)
    separate = row.name in ("MultiHeadAttention", "GroupQueryAttention") or not several
    kwargs = {k: tf.constant(v) if k == "mask" else v for k, v in row.call.items()}
    call = LayerCall(layer, tuple(inputs) if separate else (inputs,), kwargs)
    layer(*(tf.nest.map_structure(_narrow, call.args)), **kwargs)  # builds it
    for v in layer.trainable_variables:
        v.assign(random.normal(size=v.shape) / np.sqrt(max(1, np.prod(v.shape[:-1]))))
    return call


def _narrow(x):
    return tf.cast(x, keras.config.floatx()) if is_float(x) else x


def inputs_of(row, random):
    """Input tensors [4, ...] of a row."""
    draw = {
        "normal": lambda shape: random.normal(size=shape),
        "image": lambda shape: random.uniform(5.0, 250.0, size=shape),
        "unit": lambda shape: random.uniform(0.1, 0.9, size=shape),
        "integer": lambda shape: random.integers(0, 4, size=shape),
        "close": lambda shape: random.permutation(np.linspace(1, 1.1, np.prod(shape))).reshape(
            shape
        ),
    }[row.values]
    shapes = row.shapes if isinstance(row.shapes, list) else [row.shapes]
    return [tf.constant(draw((4, *shape))) for shape in shapes]


class Function(keras.layers.Layer):
    """An expression in `x`, and constants of its dtype, as a layer."""

    def __init__(self, code):
        super().__init__()
        self.code = code

    def build(self, input_shape):
        self.built = True

    def call(self, x):
        random = np.random.default_rng(1)
        shape = x.shape
        targets = random.normal(size=shape)
        arrays = {
            "targets": targets,
            "signs": np.sign(targets),
            "binary": (targets > 0) * 1.0,
            "one_hot": np.eye(3)[[0, 2, 1, 1]],
            "probabilities": np.abs(targets) / np.sum(np.abs(targets), -1, keepdims=True),
            "eye": np.eye(4),
            "affine": np.array([1.0, 0.3, 0.2, 0.1, 0.9, 0.1, 0.0, 0.0]),
            "grid": np.stack([[0.2, 1.3, 2.6], [1.1, 0.4, 2.2]]),
        }
        constants = {name: tf.constant(a, x.dtype) for name, a in arrays.items()}
        constants["numbers"] = tf.constant([0, 2, 1, 1])
        constants["sequences"] = tf.constant([[1, 2], [3, 1], [2, 4], [1, 1]])
        constants |= {"pads": [[0, 0], [1, 1], [2, 1], [0, 0]], "ones": [1, 1, 1, 1]}
        constants["zeros"] = np.zeros((4, 2), "float32")
        modules = {"activations": keras.activations, "losses": keras.losses, "ops": keras.ops}
        return eval(self.code, {**modules, "tf": tf, "x": x, **constants})


@contextlib.contextmanager
def dtype_of_layers(dtype):
    """Layers and losses are created in this dtype."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
