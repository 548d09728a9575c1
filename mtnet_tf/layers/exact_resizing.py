"""Resizing and upsampling of images, exact to every order."""

from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExactResizing(keras.layers.Resizing):
    """`keras.layers.Resizing`, computed as a matrix product along each axis.

    `outputs = W_h @ images @ transpose(W_w)` for each channel, where W_h and W_w contain the
    weights of the interpolation. The gradients of TensorFlow's resizing operations have a wrong
    derivative or none, so that meta-gradients through them are wrong; matrix products are exact.
    The arguments and outputs are those of the stock layer.

    Example:
    >>> import tensorflow as tf
    >>> ExactResizing(8, 6)(tf.ones([1, 5, 4, 3])).shape
    TensorShape([1, 8, 6, 3])
    """

    def transform_images(
        self, images: tf.Tensor, transformation: Any = None, training: bool = True
    ) -> tf.Tensor:
        """[n, H, W, C] or [H, W, C] -> the same with `height` and `width`.

        Args:
            images: images in the layer's data format.
            transformation: not used, as in the stock layer.
            training: not used, as in the stock layer.

        Returns:
            Tensor of the dtype of `images`; integers are rounded.
        """
        del transformation, training
        size = self.height, self.width
        images = _to_channels_last(images, self.data_format)
        if self.crop_to_aspect_ratio:
            images = _cropped(images, size)
        elif self.pad_to_aspect_ratio:
            images = _padded(images, size, self.fill_value)
        images = resize(images, size, self.interpolation, self.antialias)
        return _to_channels_first(images, self.data_format)


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExactUpSampling2D(keras.layers.UpSampling2D):
    """`keras.layers.UpSampling2D`, computed as a matrix product along each axis.

    Stock upsampling is exact with "nearest" only; see `ExactResizing`. The arguments and outputs
    are those of the stock layer.

    Example:
    >>> import tensorflow as tf
    >>> ExactUpSampling2D(2, interpolation="bilinear")(tf.ones([1, 5, 4, 3])).shape
    TensorShape([1, 10, 8, 3])
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, H, W, C] -> [n, size[0] * H, size[1] * W, C], or with C before H."""
        if self.interpolation == "nearest":
            return cast(tf.Tensor, super().call(inputs))
        images = _to_channels_last(inputs, self.data_format)
        size = [factor * side for factor, side in zip(self.size, _sides(images), strict=True)]
        return _to_channels_first(resize(images, size, self.interpolation), self.data_format)


def resize(
    images: tf.Tensor, size: Any, interpolation: str = "bilinear", antialias: bool = False
) -> tf.Tensor:
    """`tf.image.resize` with exact derivatives of every order.

    Example:
    >>> resize(tf.constant([[[0.0], [1.0]]]), (1, 4)).numpy().ravel().tolist()
    [0.0, 0.25, 0.75, 1.0]

    Args:
        images: [n, H, W, C] or [H, W, C].
        size: pair (height, width) of the result.
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3" or "lanczos5".
        antialias: whether to smooth before an image becomes smaller.

    Returns:
        Tensor [n, height, width, C] or [height, width, C] of the dtype of `images`; integers are
        rounded.
    """
    rows, columns = (
        _weights(side, length, interpolation, antialias)
        for side, length in zip(_sides(images), size, strict=True)
    )
    wide = images.dtype.is_floating and images.dtype.size >= 4  # sums need more than halves
    dtype = images.dtype if wide else tf.float32
    mixed = tf.einsum("aH,...HWC->...aWC", tf.cast(rows, dtype), tf.cast(images, dtype))
    mixed = tf.einsum("bW,...HWC->...HbC", tf.cast(columns, dtype), mixed)
    if images.dtype.is_floating:
        return tf.cast(mixed, images.dtype)
    return tf.saturate_cast(tf.round(mixed), images.dtype)


def _weights(
    side: int | tf.Tensor, length: int | tf.Tensor, interpolation: str, antialias: bool
) -> Any:
    """The weights [length, side] of an interpolation, which TensorFlow gives for unit vectors.

    They are a constant if the sizes are known. Some of TensorFlow's operations do not compile with
    XLA, which then does not see them.
    """

    def resized_units() -> tf.Tensor:
        units = tf.eye(side)[:, None]  # an image of width 1 with `side` channels
        return tf.image.resize(units, (length, 1), interpolation, antialias=antialias)[:, 0]

    if tf.is_tensor(side) or tf.is_tensor(length):
        return tf.stop_gradient(resized_units())
    with tf.init_scope():
        return resized_units().numpy()


def _cropped(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The largest part in the middle with the aspect ratio of `size`, cut as by Keras."""
    height, width = _sides(images)
    rows = _maximum(_minimum(height, _fitted(width, size[0], size[1])), 1)
    columns = _maximum(_minimum(width, _fitted(height, size[1], size[0])), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    # Unlike `tf.slice`, slicing has a second derivative under XLA.
    return cast(Any, images)[..., top : top + rows, left : left + columns, :]


def _padded(images: tf.Tensor, size: tuple[int, int], value: float) -> tf.Tensor:
    """Images with a border, the same on opposite sides, that have the aspect ratio of `size`."""
    height, width = _sides(images)
    top = (_maximum(height, _fitted(width, size[0], size[1])) - height) // 2
    left = (_maximum(width, _fitted(height, size[1], size[0])) - width) // 2
    others = [(0, 0)] * (len(images.shape) - 3)
    border = [*others, (top, top), (left, left), (0, 0)]
    return tf.pad(images, border, constant_values=tf.cast(value, images.dtype))


def _fitted(side: Any, target: int, other_target: int) -> Any:
    """`side * target / other_target`, rounded down from float32 as Keras does."""
    if tf.is_tensor(side):
        return tf.cast(tf.cast(side * target, tf.float32) / other_target, tf.int32)
    return int(np.float32(side * target) / np.float32(other_target))


def _minimum(a: Any, b: Any) -> Any:
    return tf.minimum(a, b) if tf.is_tensor(a) or tf.is_tensor(b) else min(a, b)


def _maximum(a: Any, b: Any) -> Any:
    return tf.maximum(a, b) if tf.is_tensor(a) or tf.is_tensor(b) else max(a, b)


def _sides(images: tf.Tensor) -> list[Any]:
    """Height and width of images [..., H, W, C]: ints where they are known."""
    known = images.shape[-3:-1].as_list()
    found = tf.shape(images)[-3:-1]
    return [found[i] if side is None else side for i, side in enumerate(known)]


def _to_channels_last(images: tf.Tensor, data_format: str) -> tf.Tensor:
    """[..., C, H, W] -> [..., H, W, C] if the channels are first."""
    return images if data_format == "channels_last" else _moved(images, [-2, -1, -3])


def _to_channels_first(images: tf.Tensor, data_format: str) -> tf.Tensor:
    """[..., H, W, C] -> [..., C, H, W] if the channels are to be first."""
    return images if data_format == "channels_last" else _moved(images, [-1, -3, -2])


def _moved(images: tf.Tensor, last_axes: list[int]) -> tf.Tensor:
    rank = len(images.shape)
    return tf.transpose(images, [*range(rank - 3), *(rank + axis for axis in last_axes)])
