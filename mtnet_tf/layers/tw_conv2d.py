"""`TWConv2D`: the convolutional cell of T-nets and MT-nets."""

import keras
import tensorflow as tf

from mtnet_tf.layers.tw_layer import TWLayer


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWConv2D(TWLayer):
    """Convolutional cell: `activation(T applied to each pixel of (conv(x, W) + b))`.

    Used like `keras.layers.Conv2D` on channels-last pictures. T is [U, U], a 1x1 convolution
    (paper, footnote of section 3.1). Under the meta-step every task has its own kernel, and the
    convolution is a matrix product over shifted slices, `[B, n*H*W, kh*kw*C] @ [B, kh*kw*C, U]`:
    exact in every derivative, and compiled by XLA on any device.
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
        super().__init__(filters, **kwargs)
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.strides = _pair("strides", strides)
        self.dilation_rate = _pair("dilation_rate", dilation_rate)
        self.padding = str(padding).lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding!r}.")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides` and `dilation_rate` cannot both be above 1. Received: "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}."
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _kernel_shape(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(
                "The channel axis (last) of the inputs of `TWConv2D` must be known. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        return (*self.kernel_size, input_shape[-1], self.units)

    def _linear(self, inputs):
        return keras.ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def _rows(self, inputs):
        return image_patches(
            inputs, self.kernel_size, self.strides, self.padding, self.dilation_rate
        )

    def compute_output_shape(self, input_shape):
        """[n, H, W, C] becomes [n, H', W', U]."""
        sizes = zip(
            input_shape[1:3], self.kernel_size, self.strides, self.dilation_rate, strict=True
        )
        spatial = [None if s[0] is None else _geometry(*s, self.padding)[0] for s in sizes]
        return (input_shape[0], *spatial, self.units)

    def get_config(self):
        """Arguments to create the layer again."""
        return {
            **super().get_config(),
            "filters": self.units,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
        }


def image_patches(images, kernel_size, strides, padding, dilation_rate):
    """The receptive field of each output pixel, flattened in the order of a kernel [kh, kw, C].

    Built from strided slices: unlike `tf.image.extract_patches`, every derivative of these
    compiles under XLA.

    Args:
      images: [n, H, W, C], H and W static.
      kernel_size: pair (kh, kw).
      strides: pair.
      padding: "valid" or "same".
      dilation_rate: pair.

    Returns:
      Tensor [n, H', W', kh*kw*C].

    Raises:
      ValueError: if H or W is unknown.
    """
    if None in images.shape[1:3]:
        raise ValueError(
            "Height and width must be known under the meta-step. "
            f"Received: images of shape {tuple(images.shape)}; give them in `keras.Input`."
        )
    spec = zip(images.shape[1:3], kernel_size, strides, dilation_rate, strict=True)
    (height, pad_h), (width, pad_w) = (_geometry(*s, padding) for s in spec)
    if any(pad_h + pad_w):
        images = tf.pad(images, [(0, 0), pad_h, pad_w, (0, 0)])
    slices = [
        images[
            :,
            i * dilation_rate[0] : i * dilation_rate[0] + (height - 1) * strides[0] + 1 : strides[
                0
            ],
            j * dilation_rate[1] : j * dilation_rate[1] + (width - 1) * strides[1] + 1 : strides[1],
        ]
        for i in range(kernel_size[0])
        for j in range(kernel_size[1])
    ]
    return tf.concat(slices, -1)


def _geometry(size, kernel, stride, dilation, padding):
    """Output size and (before, after) padding of one spatial axis, as TensorFlow pads."""
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        return max(0, (size - reach) // stride + 1), (0, 0)
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + reach - size)
    return outputs, (total // 2, total - total // 2)


def _pair(name, value):
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or any(not isinstance(v, int) or v <= 0 for v in pair):
        raise ValueError(
            f"`{name}` must be a positive integer or a pair of them. Received: {name}={value}."
        )
    return pair
