"""Prototypical Networks (Snell et al. 2017, section 2, algorithm 1).

`probability of class k = softmax over k of -|f(x) - c_k|^2`, with `c_k` the mean embedding of the
support examples of class k.

Deviation: the support set and the query set are normalised separately.
"""

import keras
import tensorflow as tf

from maml_baselines.metric.metric_learner import MetricLearner


def prototypes(support: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The mean embedding of each class (eq. 1).

    Example:
    >>> support, labels = tf.constant([[[1.0], [3.0], [4.0]]]), tf.one_hot([[0, 0, 1]], 2)
    >>> prototypes(support, labels).numpy().tolist()
    [[[2.0], [4.0]]]

    Args:
        support: embeddings [B, n, D].
        labels: one-hot [B, n, N].

    Returns:
        Tensor [B, N, D].
    """
    sums = tf.einsum("bnc,bnd->bcd", labels, support)
    return sums / tf.expand_dims(tf.reduce_sum(labels, 1), -1)


@keras.saving.register_keras_serializable(package="maml_baselines")
class PrototypicalNetwork(MetricLearner):
    """Classifies query examples by the squared distance to each prototype (eq. 2)."""

    def compare(self, support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """Negative squared distances, see `MetricLearner.compare`."""
        difference = query[:, :, None] - prototypes(support, labels)[:, None]  # [B, m, N, D]
        return -tf.reduce_sum(tf.square(difference), -1)
