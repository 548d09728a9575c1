"""Group normalisation: each group of channels of each example by its own statistics."""

import keras
import tensorflow as tf

from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.moments import moments, normalize


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExactGroupNormalization(ExactNormalization):
    """`keras.layers.GroupNormalization` (Wu & He, 2018), exact to second order.

    Statistics over the pixels and the channels of a group, per example; scale and offset per
    channel. See `ExactNormalization` for what is wrong with Keras' layer.
    """

    def __init__(self, groups=32, *, axis=-1, epsilon=1e-3, **kwargs):
        """Creates the layer.

        Args:
          groups: positive int that divides the number of channels; -1 for a group per channel
            (instance normalisation).
          axis: int, the channels.
          epsilon: added to the variance.
          **kwargs: `center` (True), `scale` (True), `beta_initializer` ("zeros"),
            `gamma_initializer` ("ones"), regularizers and constraints of both, and Keras'
            `name`, `dtype`, `trainable`.

        Raises:
          ValueError: for a number of groups that makes no sense.
        """
        super().__init__(epsilon=epsilon, **kwargs)
        if groups != -1 and groups <= 0:
            raise ValueError(f"`groups` must be positive, or -1. Received: groups={groups}.")
        self.groups = groups
        self.axis = int(axis)

    def build(self, input_shape):
        """Creates scale and offset, [C].

        Raises:
          ValueError: if the number of channels is unknown or no multiple of `groups`.
        """
        channels = input_shape[self.axis]
        if channels is None or (self.groups > 0 and channels % self.groups):
            raise ValueError(
                "The number of channels must be a multiple of `groups`. "
                f"Received: input_shape={tuple(input_shape)}, groups={self.groups}."
            )
        self._add_scale_and_offset((channels,))
        self.built = True

    def call(self, inputs):
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` per example and group."""
        inputs = tf.convert_to_tensor(inputs)
        rank = inputs.shape.rank
        axis = self.axis % rank
        channels = inputs.shape[axis]
        split = [channels if self.groups == -1 else self.groups, -1]
        sizes = tf.shape(inputs)
        x = tf.reshape(inputs, tf.concat([sizes[:axis], split, sizes[axis + 1 :]], 0))
        # [n, ..., groups, C // groups, ...]
        mean, variance = moments(x, [i for i in range(1, rank + 1) if i != axis])
        ones = [1] * rank
        parameters = self._scale_and_offset(mean.dtype, [*ones[:axis], *split, *ones[axis + 1 :]])
        return tf.reshape(normalize(x, mean, variance, self.epsilon, *parameters), sizes)

    def get_config(self):
        """Arguments to create the layer again."""
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}


# The name under which version 0.1.0 saved this layer.
keras.saving.get_custom_objects()["mtnet_tf>ExampleGroupNormalization"] = ExactGroupNormalization
