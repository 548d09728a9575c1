"""Batch normalisation over the examples of one task."""

import keras
import tensorflow as tf

from mtnet_tf import fast_weights
from mtnet_tf.layers.moments import moments, standardize


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TaskBatchNormalization(keras.layers.Layer):
    """Normalises each channel by the statistics of the task's own set, plus an offset.

    As in the authors' code: statistics of the current support or query set at training and at
    test time (transductive), biased variance, no scale, no moving averages, one offset beta per
    channel that the inner loop leaves alone. Outside the meta-step the whole batch is one task.
    A scope with `SetStatistics` normalises a query set by its support set instead.

    Exact to second order, which `tf.nn.moments` (and so Keras' own normalisation) is not: it
    stops the gradient of the mean inside the variance, which spoils every meta-gradient.
    """

    def __init__(self, *, epsilon=1e-3, beta_initializer="zeros", **kwargs):
        """Creates the layer.

        Args:
          epsilon: added to the variance.
          beta_initializer: of the offset.
          **kwargs: `name`, `dtype`, `trainable`.
        """
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.beta_initializer = keras.initializers.get(beta_initializer)

    def build(self, input_shape):
        """Creates the offset, [C]."""
        self.beta = self.add_weight(
            name="beta", shape=(input_shape[-1],), initializer=self.beta_initializer
        )
        self.built = True

    def call(self, inputs):
        """`(x - mean) / sqrt(variance + epsilon) + beta` per task and channel."""
        scope = fast_weights.active()
        num_tasks = 1 if scope is None else scope.num_tasks
        x = tf.reshape(inputs, [num_tasks, -1, inputs.shape[-1]])  # [B, n*H*W, C]
        statistics = moments(x, axis=1)  # [B, 1, C] each
        if scope is not None and scope.statistics is not None:
            statistics = scope.statistics.choose(statistics)
        x = standardize(x, *statistics, self.epsilon)
        return tf.reshape(x, tf.shape(inputs)) + tf.convert_to_tensor(self.beta)

    def compute_output_shape(self, input_shape):
        """The shape of the inputs."""
        return tuple(input_shape)

    def get_config(self):
        """Arguments to create the layer again."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
        }
