"""`TWConv2D`: the convolutional cell of T-nets and MT-nets."""

import keras

from mtnet_tf.layers.tw_conv import TWConv


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWConv2D(TWConv):
    """Convolutional cell: `activation(T applied to each pixel of (conv(x, W) + b))`.

    Used like `keras.layers.Conv2D` on channels-last pictures. T is [U, U], a 1x1 convolution
    (paper, footnote of section 3.1). Under the meta-step the convolution is a matrix product over
    shifted slices, `[B, n*H*W, kh*kw*C] @ [B, kh*kw*C, U]`.
    """

    def __init__(
        self, filters, kernel_size, *, strides=1, padding="valid", dilation_rate=1, **kwargs
    ):
        """Creates the layer.

        Args:
          filters: U, number of output channels.
          kernel_size: int or pair.
          strides: int or pair.
          padding: "valid" or "same".
          dilation_rate: int or pair.
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
