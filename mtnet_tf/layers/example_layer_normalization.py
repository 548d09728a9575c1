"""Layer normalisation over height, width and channels together, as in the authors' code."""

import keras
import tensorflow as tf

from mtnet_tf.layers.moments import moments, standardize


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExampleLayerNormalization(keras.layers.Layer):
    """Normalises each example by its own statistics, then scales and shifts each channel.

    Scale gamma and offset beta, [C] each, are meta-learned only. Exact to second order, unlike
    `keras.layers.LayerNormalization` (see `TaskBatchNormalization`).
    """

    def __init__(self, *, epsilon=1e-12, **kwargs):
        """Creates the layer.

        Args:
          epsilon: added to the variance.
          **kwargs: `name`, `dtype`, `trainable`.
        """
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        """Creates scale and offset, [C]."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        self.built = True

    def call(self, inputs):
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` per example."""
        x = tf.convert_to_tensor(inputs)
        statistics = moments(x, axis=list(range(1, x.shape.rank)))  # [n, 1, ...] each
        x = standardize(x, *statistics, self.epsilon)
        return x * tf.convert_to_tensor(self.gamma) + tf.convert_to_tensor(self.beta)

    def compute_output_shape(self, input_shape):
        """The shape of the inputs."""
        return tuple(input_shape)

    def get_config(self):
        """Arguments to create the layer again."""
        return {**super().get_config(), "epsilon": self.epsilon}
