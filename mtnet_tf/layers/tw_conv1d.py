"""`TWConv1D`: the convolutional cell for sequences."""

import keras

from mtnet_tf.layers.tw_conv import TWConv


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWConv1D(TWConv):
    """Convolutional cell: `activation(T applied to each step of (conv(x, W) + b))`.

    Used like `keras.layers.Conv1D` on channels-last sequences [n, S, C]; otherwise as `TWConv2D`.
    """

    rank = 1
    paddings = ("valid", "same", "causal")

    def __init__(
        self, filters, kernel_size, *, strides=1, padding="valid", dilation_rate=1, **kwargs
    ):
        """Creates the layer.

        Args:
          filters: U, number of output channels.
          kernel_size: int.
          strides: int.
          padding: "valid", "same" or "causal".
          dilation_rate: int.
          **kwargs: as for `TWDense`.

        Raises:
          ValueError: for sizes, a padding, a mask kind or a temperature that make no sense.
        """
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            **kwargs,
        )

    def get_config(self):
        """Arguments to create the layer again."""
        return {**super().get_config(), "filters": self.units}
