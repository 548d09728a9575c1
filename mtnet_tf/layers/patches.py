"""Receptive fields as rows of a matrix: a convolution is then a matrix product."""

import itertools

import tensorflow as tf


def patches(inputs, kernel_size, strides, padding, dilation_rate):
    """The receptive field of each output position, flattened in the order of a kernel [*k, C].

    Built from strided slices: unlike `tf.image.extract_patches`, every derivative of these
    compiles under XLA.

    Args:
      inputs: [n, *S, C], the spatial sizes S static.
      kernel_size: tuple k of one int per spatial axis.
      strides: tuple.
      padding: "valid", "same", or "causal" (zeros before the first step only).
      dilation_rate: tuple.

    Returns:
      Tensor [n, *S', prod(k)*C].

    Raises:
      ValueError: if a spatial size is unknown.
    """
    sizes = inputs.shape[1:-1]
    if None in sizes:
        raise ValueError(
            "The spatial sizes (height and width) must be known under the meta-step. "
            f"Received: inputs of shape {tuple(inputs.shape)}; give them in `keras.Input`."
        )
    axes = list(zip(sizes, kernel_size, strides, dilation_rate, strict=True))
    outputs, paddings = zip(*(geometry(*axis, padding) for axis in axes), strict=True)
    if any(map(any, paddings)):
        inputs = tf.pad(inputs, [(0, 0), *paddings, (0, 0)])

    def seen_by(offsets):
        """What the kernel entry at `offsets` meets, [n, *S', C]."""
        starts = [o * dilation for o, (*_, dilation) in zip(offsets, axes, strict=True)]
        window = [
            slice(start, start + (output - 1) * stride + 1, stride)
            for start, output, stride in zip(starts, outputs, strides, strict=True)
        ]
        return inputs[(slice(None), *window)]

    return tf.concat([seen_by(o) for o in itertools.product(*map(range, kernel_size))], -1)


def geometry(size, kernel, stride, dilation, padding):
    """Output size and (before, after) padding of one spatial axis, as TensorFlow pads."""
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        return max(0, (size - reach) // stride + 1), (0, 0)
    outputs = -(-size // stride)
    if padding == "causal":
        return outputs, (reach - 1, 0)
    total = max(0, (outputs - 1) * stride + reach - size)
    return outputs, (total // 2, total - total // 2)
