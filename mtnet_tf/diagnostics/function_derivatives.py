"""Derivatives of a function of tensors, such as one layer, compared with numerical ones."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import tensorflow as tf

from mtnet_tf.diagnostics.numerical_derivatives import (
    DOUBLE,
    Precision,
    direction,
    relative_error,
)

# From tensors to tensors, all of them floating.
Outputs = Callable[[Sequence[tf.Tensor]], list[tf.Tensor]]
# From tensors to a float64 scalar.
Scalar = Callable[[Sequence[tf.Tensor]], tf.Tensor]
Gradient = Any  # list of tensors or None, as `tf.GradientTape.gradient` returns


class _Derivatives(NamedTuple):
    """A scalar function, its gradient, and the gradient of the gradient along a direction."""

    value: tf.Tensor
    gradient: Gradient
    second: Gradient  # None if TensorFlow raises an error


def check_derivatives(
    outputs: Outputs,
    values: Sequence[tf.Tensor],
    random: np.random.Generator,
    *,
    precision: Precision = DOUBLE,
    compiled: bool | None = None,
) -> tuple[str, float, float]:
    """Compares the first and second derivatives of a function with numerical ones.

    The second derivative is the gradient of a gradient, as a meta-step computes it.

    Example:
    >>> sine = lambda values: [tf.sin(values[0])]
    >>> check_derivatives(sine, [tf.ones([2], tf.float64)], np.random.default_rng(0))[0]
    'exact'

    Args:
        outputs: function from a list of float64 tensors to a list of floating tensors.
        values: the tensors at which the derivatives are computed.
        random: NumPy generator.
        precision: step sizes and tolerance of the central differences.
        compiled: None to compute eagerly, False for a `tf.function`, True to compile it with XLA.

    Returns:
        Tuple (verdict, relative error of the first derivative, of the second derivative). The
        verdict is "exact", "wrong", "first-order only" or "disconnected".
    """
    derivatives = _derivatives(_scalar(outputs, values, random), compiled)
    first, second, lost = np.inf, np.inf, False
    for step, noise in precision.attempts:
        near = [v + noise * random.normal(size=_known_shape(v)) for v in values]
        along, across = ([direction(_known_shape(v), random) for v in values] for _ in range(2))
        found = derivatives(near, across)
        if all(g is None for g in found.gradient):
            return "disconnected", np.nan, np.nan
        ends = [derivatives(_shift(near, along, s), across) for s in (step, -step)]
        lost = found.second is None
        errors = _errors(found, ends, along, across, step, precision.tolerance)
        first, second = np.fmin(first, errors[0]), np.fmin(second, errors[1])
        if max(first, second) < precision.tolerance:
            return "exact", first, second
    if first < precision.tolerance and lost:
        return "first-order only", first, second
    return "wrong", first, second


def has_finite_derivatives(outputs: Outputs, values: Sequence[tf.Tensor]) -> bool:
    """Whether the outputs of a function and its first two derivatives are finite.

    Args:
        outputs: function from a list of float64 tensors to a list of floating tensors.
        values: the tensors at which they are computed.
    """
    random = np.random.default_rng(0)
    across = [direction(_known_shape(v), random) for v in values]
    found = _derivatives(_scalar(outputs, values, random), None)(values, across)
    return all(bool(tf.reduce_all(tf.math.is_finite(t))) for t in tf.nest.flatten(found) if _is(t))


def _derivatives(value: Scalar, compiled: bool | None) -> Callable[..., _Derivatives]:
    """The function (tensors, direction of the first derivative) -> `_Derivatives`."""

    def derivatives(values: Sequence[tf.Tensor], across: Sequence[tf.Tensor]) -> _Derivatives:
        values = list(values)
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(values)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(values)
                result = value(values)
            try:
                gradient = _dense(inner.gradient(result, values))
            except LookupError:  # the operation has no gradient at all
                gradient = [None] * len(values)
            slope = _dot(gradient, across)
        try:
            second = _dense(outer.gradient(slope, values))
        except (LookupError, NotImplementedError):
            second = None
        return _Derivatives(result, gradient, second)

    if compiled is None:
        return derivatives
    return tf.function(derivatives, jit_compile=compiled, autograph=False, reduce_retracing=True)


def _errors(
    found: _Derivatives,
    ends: Sequence[_Derivatives],
    along: Sequence[np.ndarray],
    across: Sequence[np.ndarray],
    step: float,
    tolerance: float,
) -> tuple[float, float]:
    """Relative errors of the first and the second derivative; 1 if TensorFlow has no second one."""
    size = _norm(found.gradient)
    expected = (ends[0].value - ends[1].value) / (2 * step)
    first = relative_error(_dot(found.gradient, along), expected, size)
    slopes = [_dot(end.gradient, across) for end in ends]
    expected = (slopes[0] - slopes[1]) / (2 * step)
    if found.second is None:
        # A piecewise linear function correctly has no second derivative.
        return first, 0.0 if relative_error(0.0, expected, size) < tolerance else 1.0
    scale = max(_norm(found.second), size)
    return first, relative_error(_dot(found.second, along), expected, scale)


def _scalar(outputs: Outputs, values: Sequence[tf.Tensor], random: np.random.Generator) -> Scalar:
    """A nonlinear scalar function of all outputs, whose cotangent does not sum to zero."""
    start = outputs(values)
    # A cotangent that sums to zero would hide a wrong gradient of a mean.
    cotangents = [random.normal(size=_known_shape(y)) + 1.0 for y in start]
    sizes = [1.0 + float(tf.reduce_max(tf.abs(y))) for y in start]

    def value(values: Sequence[tf.Tensor]) -> tf.Tensor:
        found = [tf.cast(y, tf.float64) for y in outputs(values)]
        parts = zip(found, cotangents, sizes, strict=True)
        return tf.add_n([tf.reduce_sum(c * tf.sin(y / s)) for y, c, s in parts])

    return value


def _dense(gradients: Sequence[Any]) -> list[tf.Tensor | None]:
    """Gradients as tensors: that of an embedding consists of `tf.IndexedSlices`."""
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]


def _is(x: Any) -> bool:
    return x is not None


def _known_shape(x: tf.Tensor) -> tuple[int, ...]:
    """The shape of a tensor that has a value."""
    return cast(tuple[int, ...], tuple(x.shape))


def _shift(
    values: Sequence[tf.Tensor], direction: Sequence[np.ndarray], step: float
) -> list[tf.Tensor]:
    return [v + step * d for v, d in zip(values, direction, strict=True)]


def _dot(gradient: Gradient, direction: Sequence[Any]) -> tf.Tensor:
    terms = [
        tf.reduce_sum(g * d) for g, d in zip(gradient, direction, strict=True) if g is not None
    ]
    return tf.add_n(terms) if terms else tf.constant(0.0, tf.float64)


def _norm(gradient: Gradient) -> float:
    return np.sqrt(sum(float(tf.reduce_sum(tf.square(g))) for g in gradient if g is not None))
