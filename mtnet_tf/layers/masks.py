"""Gradient masks: which units a task may change (paper, section 3.2).

Pure functions. The noise is an argument, so that a run can be reproduced exactly; it is drawn by
`logistic_noise`. Orientation: row j of W in the paper belongs to output unit j, our last axis.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from mtnet_tf import seeds


def logistic_noise(
    shape: Sequence[int | tf.Tensor], seed: tf.Tensor, dtype: str = "float32"
) -> tf.Tensor:
    """Draws the difference of two standard Gumbels, g1 - g2 of eq. 10.

    This difference has the standard logistic distribution, so one draw replaces two. It is
    the logistic quantile of a uniform number strictly between 0 and 1, and is the same with and
    without XLA.

    Args:
        shape: shape of the result.
        seed: int32 tensor [2], a stateless seed.
        dtype: floating dtype of the result.

    Returns:
        Tensor of `shape`.
    """
    # Imported here because it takes seconds, and serving a most probable mask needs no noise.
    from tensorflow_probability import distributions

    # The midpoints of 2^23 equal parts: exact in float32, and never 0 or 1.
    uniform = (tf.floor(seeds.uniform(shape, seed) * 2**23) + 0.5) / 2**23
    logistic = distributions.Logistic(tf.zeros([], dtype), tf.ones([], dtype))
    return logistic.quantile(tf.cast(uniform, dtype))


def soft_mask(
    logits: tf.Tensor, noise: tf.Tensor, temperature: float | tf.Tensor = 1.0
) -> tf.Tensor:
    """Relaxed mask of eq. 11: `sigmoid((logits + noise) / temperature)`.

    Eq. 11 is `a / (a + b)` with `a = exp((zeta + g1) / c)` and `b = exp(g2 / c)`, which equals
    `sigmoid((zeta + g1 - g2) / c)`.

    Args:
        logits: zeta, tensor [*shape].
        noise: g1 - g2, tensor [..., *shape].
        temperature: positive number, c in eq. 11.

    Returns:
        Tensor like `noise`, with values in (0, 1).
    """
    return tf.sigmoid((logits + noise) / temperature)


def hard_mask(
    logits: tf.Tensor, noise: tf.Tensor, temperature: float | tf.Tensor = 1.0
) -> tf.Tensor:
    """Binary mask with the gradient of the soft sample (straight-through).

    The value is exactly 0 or 1: `1 where soft_mask >= 1/2`, a Bernoulli(sigmoid(logits)) draw
    (eq. 9). The derivative with respect to `logits` is that of `soft_mask` (eq. 11).

    Args:
        logits: zeta, tensor [*shape].
        noise: g1 - g2, tensor [..., *shape].
        temperature: positive number, c in eq. 11.

    Returns:
        Tensor like `noise`, of zeros and ones.
    """
    soft = soft_mask(logits, noise, temperature)
    hard = tf.cast(soft >= 0.5, soft.dtype)
    # `soft - stop_gradient(soft)` is exactly zero, so rounding cannot change a masked unit.
    return hard + (soft - tf.stop_gradient(soft))


def most_probable_mask(logits: tf.Tensor) -> tf.Tensor:
    """Mask without noise: 1 where `sigmoid(logits) >= 1/2`. No gradient.

    Example:
    >>> import tensorflow as tf
    >>> most_probable_mask(tf.constant([-1.0, 2.0])).numpy().tolist()
    [0.0, 1.0]

    Args:
        logits: tensor [*shape].

    Returns:
        Tensor [*shape] of zeros and ones.
    """
    return tf.cast(logits >= 0, logits.dtype)


def active_probability(logits: tf.Tensor) -> tf.Tensor:
    """Probability that a mask entry is 1: `sigmoid(logits)` (eq. 9)."""
    return tf.sigmoid(logits)


@tf.custom_gradient
def attach(value: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """Returns `value` unchanged, with a gradient of zero with respect to `logits`.

    Ordinary training does not use the masks. A gradient of zeros, instead of no gradient, keeps
    optimizers from warning about disconnected variables.

    Args:
        value: tensor of any shape.
        logits: zeta, tensor [*shape].

    Returns:
        Tensor equal to `value`. (The function itself also returns the gradient, for the decorator.)
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return upstream, tf.zeros_like(logits)

    return tf.identity(value), gradient
