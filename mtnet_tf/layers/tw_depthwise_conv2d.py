"""`TWDepthwiseConv2D`: the cell whose W keeps channels apart."""

import keras
import tensorflow as tf

from mtnet_tf.layers.tw_conv import TWConv
from mtnet_tf.layers.tw_layer import cell


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWDepthwiseConv2D(TWConv):
    """Depthwise cell: `activation(T applied to each pixel of (depthwise_conv(x, W) + b))`.

    Used like `keras.layers.DepthwiseConv2D` on channels-last pictures; U = C * depth_multiplier.
    W sees each channel apart, T [U, U] mixes them: with T learned the cell is a separable
    convolution of which only the depthwise half adapts to a task.

    W is [kh, kw, U], Keras' [kh, kw, C, depth_multiplier] with the last two axes in one, so that
    an output unit is the last axis here too.
    """

    def __init__(
        self,
        kernel_size,
        *,
        strides=1,
        padding="valid",
        depth_multiplier=1,
        dilation_rate=1,
        **kwargs,
    ):
        """Creates the layer.

        Args:
          kernel_size: int or pair.
          strides: int or pair.
          padding: "valid" or "same".
          depth_multiplier: output channels per input channel.
          dilation_rate: int or pair.
          **kwargs: as for `TWDense`.

        Raises:
          ValueError: for sizes, a padding, a mask kind or a temperature that make no sense.
        """
        super().__init__(
            depth_multiplier,  # the number of units is known once that of the channels is
            kernel_size,
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            **kwargs,
        )
        self.depth_multiplier = depth_multiplier

    def build(self, input_shape):
        """Creates W, b, T `[U, U]` and the mask logits."""
        self.units = self._channels(input_shape) * self.depth_multiplier
        super().build(input_shape)

    def _kernel_shape(self, input_shape):
        return (*self.kernel_size, self.units)

    def _linear(self, inputs):
        split = [*self.kernel_size, -1, self.depth_multiplier]
        return keras.ops.depthwise_conv(
            inputs,
            tf.reshape(self.kernel, split),
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def _cell(self, rows, kernel, bias, transform):
        fields = [kernel.shape[1], self.units // self.depth_multiplier]  # K = kh*kw, C
        groups, num_rows = tf.unstack(tf.shape(rows)[:2])
        rows = tf.reshape(rows, [groups, num_rows, *fields, 1])
        kernel = tf.reshape(kernel, [-1, 1, *fields, self.depth_multiplier])
        # Six times faster than `einsum`, which transposes.
        products = tf.reduce_sum(rows * kernel, 2)  # [G, m, C, depth_multiplier]
        return cell(tf.reshape(products, [groups, -1, self.units]), None, bias, transform)

    def compute_output_shape(self, input_shape):
        """[n, H, W, C] becomes [n, H', W', U]."""
        shape = super().compute_output_shape(input_shape)
        return (*shape[:-1], self._channels(input_shape) * self.depth_multiplier)

    def get_config(self):
        """Arguments to create the layer again."""
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}
