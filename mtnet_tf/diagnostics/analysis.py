"""What a trained network has learned about its tasks."""

import numpy as np

from mtnet_tf.layers import find_task_weights


def active_fraction(model, layers=None):
    """Expected fraction of the task weights that a task may change.

    P(mask = 1) = sigmoid(zeta), averaged over weights, so that a layer counts by its size
    (section 6.3 prints the opposite sign, and the authors average over layers). A weight without
    a mask always changes.

    Args:
      model: built Keras model with TW layers.
      layers: those that adapt, None for the TW layers; see `find_task_weights`.

    Returns:
      float in [0, 1].
    """
    total = active = 0.0
    for variable, mask_logits, _ in find_task_weights(model, layers):
        size = np.prod(variable.shape)
        probability = 1.0 if mask_logits is None else np.mean(mask_logits.active_probability())
        total, active = total + size, active + size * float(probability)
    return active / total
