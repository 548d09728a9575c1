"""Receptive fields as rows of a matrix, so that a convolution is a matrix product."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Windows:
    """The receptive fields of a convolution: a linear map from inputs to rows, and its transpose.

    Each map is the derivative of the other. Derivatives of every order therefore consist of these
    two, and compile with XLA, unlike those of `tf.image.extract_patches`.

    Attributes:
        sizes: spatial sizes S of the inputs.
        kernel_size: k, one int per spatial axis.
        strides: one int per spatial axis.
        padding: "valid", "same", or "causal" (zeros before the first step only).
        dilation_rate: one int per spatial axis.
    """

    sizes: tuple[int, ...]
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    dilation_rate: tuple[int, ...]

    @property
    def _axes(self) -> list[tuple[int, int, int, int]]:
        """(size, kernel, stride, dilation) of each spatial axis."""
        axes = (self.sizes, self.kernel_size, self.strides, self.dilation_rate)
        return list(zip(*axes, strict=True))

    @property
    def _geometry(self) -> list[tuple[int, tuple[int, int]]]:
        """(output size, padding) of each spatial axis."""
        return [geometry(*axis, self.padding) for axis in self._axes]

    def _positions(self) -> Iterator[tuple[int, ...]]:
        """The positions of the kernel entries, in order."""
        return itertools.product(*map(range, self.kernel_size))

    def rows(self, inputs: tf.Tensor) -> tf.Tensor:
        """The receptive field of each output, [n, *S, C] -> [n, *S', prod(k)*C]."""

        @tf.custom_gradient
        def function(inputs: tf.Tensor) -> Any:
            return self._gather(inputs), self.inputs

        return function(inputs)

    def inputs(self, rows: tf.Tensor) -> tf.Tensor:
        """The sum of what each input contributed to, [n, *S', prod(k)*C] -> [n, *S, C]."""

        @tf.custom_gradient
        def function(rows: tf.Tensor) -> Any:
            return self._scatter(rows), self.rows

        return function(rows)

    def _gather(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs, paddings = zip(*self._geometry, strict=True)
        if any(map(any, paddings)):
            inputs = tf.pad(inputs, [(0, 0), *paddings, (0, 0)])

        def inputs_of(position: tuple[int, ...]) -> tf.Tensor:
            """The inputs that the kernel entry at `position` multiplies, [n, *S', C]."""
            starts = [
                k * dilation for k, dilation in zip(position, self.dilation_rate, strict=True)
            ]
            window = [
                slice(start, start + (output - 1) * stride + 1, stride)
                for start, output, stride in zip(starts, outputs, self.strides, strict=True)
            ]
            return inputs[(slice(None), *window)]

        return tf.concat([inputs_of(k) for k in self._positions()], -1)

    def _scatter(self, rows: tf.Tensor) -> tf.Tensor:
        """Adds up the rows, for each remainder of an input's position by the strides, its phase.

        All inputs of one phase are read by the same entries of the kernel. No row has to be spread
        out with zeros in between.
        """
        parts = tf.split(rows, math.prod(self.kernel_size), -1)
        sums: dict[tuple[int, ...], tf.Tensor] = {}
        for position, part in zip(self._positions(), parts, strict=True):
            phase, part = self._shifted(position, part)
            sums[phase] = sums[phase] + part if phase in sums else part
        whole = self._interleave((), sums)
        return whole[(slice(None), *(slice(size) for size in self.sizes))]

    def _shifted(
        self, position: tuple[int, ...], part: tf.Tensor
    ) -> tuple[tuple[int, ...], tf.Tensor]:
        """The phase of the inputs of a kernel entry, and its rows at their positions in it."""
        phases, window, paddings = [], [], []
        axes = zip(position, self._axes, self._geometry, strict=True)
        for k, (size, _, stride, dilation), (output, (before, _)) in axes:
            shift, phase = divmod(k * dilation - before, stride)  # input = stride * row + phase
            length = -(-size // stride)
            first, last = max(0, -shift), min(output, length - shift)
            phases.append(phase)
            is_read = first < last  # else the entry multiplies nothing but padding
            window.append(slice(first, last) if is_read else slice(0))
            paddings.append((first + shift, length - last - shift) if is_read else (0, length))
        part = part[(slice(None), *window)]
        return tuple(phases), tf.pad(part, [(0, 0), *paddings, (0, 0)])

    def _interleave(
        self, phase: tuple[int, ...], sums: Mapping[tuple[int, ...], tf.Tensor]
    ) -> tf.Tensor:
        """The inputs of all phases that start with `phase`, in order along the remaining axes."""
        axis = len(phase)
        if axis == len(self.strides):
            return sums[phase] if phase in sums else tf.zeros_like(next(iter(sums.values())))
        stride = self.strides[axis]
        found = [self._interleave((*phase, p), sums) for p in range(stride)]
        if stride == 1:
            return found[0]
        stacked = tf.stack(found, axis + 2)
        known: Any = found[0].shape[axis + 1]
        shape = tf.shape(found[0])
        sizes = tf.concat([shape[: axis + 1], [known * stride], shape[axis + 2 :]], 0)
        return tf.reshape(stacked, sizes)


def patches(
    inputs: tf.Tensor,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation_rate: Sequence[int],
) -> tf.Tensor:
    """The receptive field of each output position, flattened in the order of a kernel [*k, C].

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
    windows = Windows(
        tuple(sizes), tuple(kernel_size), tuple(strides), padding, tuple(dilation_rate)
    )
    return windows.rows(inputs)


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
