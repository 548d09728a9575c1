"""What a trained network has learned about its tasks."""

from collections.abc import Sequence

import keras
import numpy as np

from mtnet_tf.layers import find_task_weights


def active_fraction(
    model: keras.Model, layers: Sequence[keras.layers.Layer | str] | None = None
) -> float:
    """Expected fraction of the task weights that the inner loop may change.

    `P(mask = 1) = sigmoid(zeta)`, averaged over all weights, so a layer counts in proportion to
    its number of weights. (Section 6.3 of the paper prints the opposite sign, and the authors
    average over layers.) A weight without a mask may always change.

    Example:
    >>> from mtnet_tf.layers import TWDense
    >>> active_fraction(keras.Sequential([keras.Input((4,)), TWDense(2)]))
    0.5

    Args:
        model: built Keras model with TW layers.
        layers: the layers that adapt; None for all TW layers. See `find_task_weights`.

    Returns:
        float in [0, 1].
    """
    total = active = 0.0
    for variable, mask_logits, _ in find_task_weights(model, layers):
        size = float(np.prod(variable.shape))
        probability = 1.0 if mask_logits is None else np.mean(mask_logits.active_probability())
        total, active = total + size, active + size * float(probability)
    return active / total
