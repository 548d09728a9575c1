"""Receptive fields as rows of a matrix, so that a convolution is a matrix product."""

import itertools
import math
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


def grouped_product(
    rows: tf.Tensor, kernel: tf.Tensor, kernel_size: Sequence[int], groups: int
) -> tf.Tensor:
    """The product of each group of channels with its own kernel, for every task.

    `output[b, m, g, u] = sum over k, c of rows[b, m, k, g, c] * kernel[b, k, c, g, u]`, where the
    channels are C = (g, c) and the units are U = (g, u).

    Args:
        rows: [B, m, K*C], receptive fields of `patches` with K = prod(kernel_size).
        kernel: [B, K*C/G, U].
        kernel_size: k, one int per spatial axis.
        groups: G, number of groups; C for a depthwise convolution.

    Returns:
        Tensor [B, m, U].
    """
    sizes: Any = kernel.shape
    depth, num_units = sizes[1:]
    positions = math.prod(kernel_size)
    channels, units = depth // positions, num_units // groups  # of one group
    num_tasks, num_rows = tf.unstack(tf.shape(rows)[:2])
    rows = tf.reshape(rows, [num_tasks, num_rows, positions, groups, channels])
    if channels == 1:
        kernel = tf.reshape(kernel, [-1, 1, positions, groups, units])
        # Six times faster than a product of matrices, which transposes.
        products = tf.reduce_sum(rows * kernel, 2)  # [B, m, G, U/G]
    else:
        rows = tf.reshape(tf.transpose(rows, [0, 3, 1, 2, 4]), [num_tasks, groups, num_rows, depth])
        kernel = tf.reshape(kernel, [-1, depth, groups, units])
        products = rows @ tf.transpose(kernel, [0, 2, 1, 3])  # [B, G, m, U/G]
        products = tf.transpose(products, [0, 2, 1, 3])
    return tf.reshape(products, [num_tasks, -1, num_units])


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
