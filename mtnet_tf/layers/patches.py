"""Receptive fields as rows of a matrix, so that a convolution is a matrix product."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def patches(
    inputs: tf.Tensor,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation_rate: Sequence[int],
) -> tf.Tensor:
    """The receptive field of each output position, flattened in the order of a kernel [*k, C].

    It consists of strided slices. Unlike `tf.image.extract_patches`, their derivatives of every
    order compile with XLA.

    Args:
        inputs: [n, *S, C] with static spatial sizes S.
        kernel_size: k, one int per spatial axis.
        strides: one int per spatial axis.
        padding: "valid", "same", or "causal" (zeros before the first step only).
        dilation_rate: one int per spatial axis.

    Returns:
        Tensor [n, *S', prod(k)*C].

    Raises:
        ValueError: if a spatial size is unknown.
    """
    sizes: Any = inputs.shape[1:-1]
    if None in sizes:
        raise ValueError(
            "The spatial sizes (height and width) must be known in a meta-step. "
            f"Received: inputs of shape {tuple(inputs.shape)}; specify them in `keras.Input`."
        )
    axes = list(zip(sizes, kernel_size, strides, dilation_rate, strict=True))
    outputs, paddings = zip(*(geometry(*axis, padding) for axis in axes), strict=True)
    if any(map(any, paddings)):
        inputs = tf.pad(inputs, [(0, 0), *paddings, (0, 0)])

    def inputs_of(offsets: tuple[int, ...]) -> tf.Tensor:
        """The inputs that the kernel entry at `offsets` multiplies, [n, *S', C]."""
        starts = [o * dilation for o, (*_, dilation) in zip(offsets, axes, strict=True)]
        window = [
            slice(start, start + (output - 1) * stride + 1, stride)
            for start, output, stride in zip(starts, outputs, strides, strict=True)
        ]
        return inputs[(slice(None), *window)]

    return tf.concat([inputs_of(o) for o in itertools.product(*map(range, kernel_size))], -1)


def check_channels_last(data_format: str | None) -> None:
    """Raises ValueError unless the data format, or Keras' default for None, is channels-last."""
    data_format = data_format or keras.config.image_data_format()
    if data_format != "channels_last":
        raise ValueError(
            f"`data_format` must be 'channels_last'. Received: data_format={data_format!r}; put a "
            "`keras.layers.Permute` before and after the layer."
        )


def geometry(
    size: int, kernel: int, stride: int, dilation: int, padding: str
) -> tuple[int, tuple[int, int]]:
    """Output size and padding of one spatial axis, as TensorFlow pads.

    Args:
        size: size of the input along the axis.
        kernel: size of the kernel.
        stride: stride.
        dilation: dilation rate.
        padding: "valid", "same" or "causal".

    Returns:
        Pair (output size, (padding before, padding after)).
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        return max(0, (size - reach) // stride + 1), (0, 0)
    outputs = -(-size // stride)
    if padding == "causal":
        return outputs, (reach - 1, 0)
    total = max(0, (outputs - 1) * stride + reach - size)
    return outputs, (total // 2, total - total // 2)
