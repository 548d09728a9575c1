"""Layer normalisation: each example by its own statistics."""

import keras
import tensorflow as tf

from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.moments import moments, normalize


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExactLayerNormalization(ExactNormalization):
    """Normalises each example by its own statistics, then scales and shifts.

    By default over height, width and channels together with scale and offset per channel, as in
    the authors' code; with `axis` given, over those axes with scale and offset of their shape, as
    `keras.layers.LayerNormalization`.

    Exact to second order, unlike Keras' layer: see `ExactNormalization`.
    """

    def __init__(self, *, axis=None, epsilon=1e-12, center=True, rms_scaling=False, **kwargs):
        """Creates the layer.

        Args:
          axis: int or list of ints, the axes of the statistics and of scale and offset; None for
            statistics over all axes but the first, and scale and offset of the last one.
          epsilon: added to the variance.
          center: adds the offset beta.
          rms_scaling: Keras' option of this name: the mean is not taken away and there is no
            offset.
          **kwargs: `scale` (True), `beta_initializer` ("zeros"), `gamma_initializer` ("ones"),
            regularizers and constraints of both, and Keras' `name`, `dtype`, `trainable`.
        """
        super().__init__(epsilon=epsilon, center=center and not rms_scaling, **kwargs)
        self.axis = axis if axis is None or isinstance(axis, int) else sorted(axis)
        self.rms_scaling = bool(rms_scaling)

    def build(self, input_shape):
        """Creates scale and offset, of the shape of the normalised axes or [C]."""
        axes = [-1] if self.axis is None else self._axes()
        self._add_scale_and_offset(tuple(input_shape[i] for i in axes))
        self.built = True

    def _axes(self):
        return [self.axis] if isinstance(self.axis, int) else self.axis

    def call(self, inputs):
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` per example."""
        x = tf.convert_to_tensor(inputs)
        rank = x.shape.rank
        axes = list(range(1, rank)) if self.axis is None else [i % rank for i in self._axes()]
        mean, variance = moments(x, axes)  # [n, 1, ...] each
        if self.rms_scaling:
            mean = tf.zeros_like(mean)
        shared = [rank - 1] if self.axis is None else axes
        shape = [x.shape[i] if i in shared else 1 for i in range(rank)]
        parameters = self._scale_and_offset(mean.dtype, shape)
        return normalize(x, mean, variance, self.epsilon, *parameters)

    def get_config(self):
        """Arguments to create the layer again."""
        return {**super().get_config(), "axis": self.axis, "rms_scaling": self.rms_scaling}


# The name under which version 0.1.0 saved this layer.
keras.saving.get_custom_objects()["mtnet_tf>ExampleLayerNormalization"] = ExactLayerNormalization
