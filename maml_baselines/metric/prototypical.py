"""Prototypical Networks (Snell et al. 2017)."""

import keras
import tensorflow as tf

from maml_baselines.metric.metric_learner import MetricLearner


def prototypes(support, labels):
    """The mean embedding of each class (Snell et al. 2017, eq. 1).

    Args:
      support: [B, n, D].
      labels: one-hot [B, n, N].

    Returns:
      Tensor [B, N, D].
    """
    sums = tf.einsum("bnc,bnd->bcd", labels, support)
    return sums / tf.reduce_sum(labels, 1)[..., None]


@keras.saving.register_keras_serializable(package="maml_baselines")
class PrototypicalNetwork(MetricLearner):
    """`softmax(-squared distance to each prototype)` (Snell et al. 2017, eq. 2)."""

    def compare(self, support, labels, query):
        """See `MetricLearner`."""
        difference = query[:, :, None] - prototypes(support, labels)[:, None]  # [B, m, N, D]
        return -tf.reduce_sum(tf.square(difference), -1)
