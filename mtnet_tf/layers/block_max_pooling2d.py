"""Max pooling over blocks that do not overlap, exact to second order under XLA."""

import operator
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.integers import is_integer
from mtnet_tf.layers.patches import check_channels_last
from mtnet_tf.layers.tw_layer import Shape


@keras.saving.register_keras_serializable(package="mtnet_tf")
class BlockMaxPooling2D(keras.layers.Layer):
    """`keras.layers.MaxPooling2D(pool_size)`, computed by reshaping and taking the maximum.

    The second derivative of XLA's pooling operation is approximate; this one is exact. Rows and
    columns that do not fill a block are dropped ("valid").

    Example:
    >>> import tensorflow as tf
    >>> BlockMaxPooling2D(2)(tf.ones([1, 5, 4, 3])).shape
    TensorShape([1, 2, 2, 3])
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = (2, 2),
        strides: int | tuple[int, int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates the layer. The arguments are those of `keras.layers.MaxPooling2D`.

        Args:
            pool_size: positive int, or a pair of equal positive ints: side of a block.
            strides: None, or `pool_size`, because blocks do not overlap.
            padding: "valid".
            data_format: None or "channels_last".
            name: Keras' `name`.
            **kwargs: Keras' `dtype`.

        Raises:
            ValueError: if `pool_size` is not positive or its sides differ, or for other strides,
                another padding or another data format.
        """
        super().__init__(name=name, **kwargs)
        self.pool_size = _side("pool_size", pool_size)
        if strides is not None and _side("strides", strides) != self.pool_size:
            raise ValueError(
                "`strides` must be None or equal to `pool_size`, because blocks do not overlap. "
                f"Received: strides={strides}, pool_size={pool_size}."
            )
        if str(padding).lower() != "valid":
            raise ValueError(f"`padding` must be 'valid'. Received: padding={padding!r}.")
        check_channels_last(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Shape) -> None:
        """Raises ValueError if height or width is unknown."""
        if None in tuple(input_shape[1:3]):
            raise ValueError(
                "Height and width must be known. "
                f"Received: input_shape={tuple(input_shape)}; specify them in `keras.Input`."
            )
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, H, W, C] -> [n, H // pool_size, W // pool_size, C]."""
        size = self.pool_size
        sides: Any = inputs.shape[1:3]  # known, see `build`
        height, width = (side // size for side in sides)
        blocks = tf.reshape(
            inputs[:, : height * size, : width * size],
            [-1, height, size, width, size, inputs.shape[3]],
        )
        return tf.reduce_max(blocks, [2, 4])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """[n, H, W, C] -> [n, H // pool_size, W // pool_size, C]."""
        spatial = (None if s is None else s // self.pool_size for s in input_shape[1:3])
        return (input_shape[0], *spatial, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.pool_size,
            "padding": "valid",
            "data_format": "channels_last",
        }


def _side(name: str, value: int | tuple[int, int]) -> int:
    """The side of a square, given as an int or a pair of equal ints."""
    sides = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(sides) != 2 or sides[0] != sides[1] or not is_integer(sides[0]) or sides[0] <= 0:
        raise ValueError(
            f"`{name}` must be a positive integer, or a pair of equal ones. "
            f"Received: {name}={value!r}."
        )
    return operator.index(sides[0])
