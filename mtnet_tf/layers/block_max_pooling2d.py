"""Max pooling over blocks that do not overlap, exact to second order under XLA."""

from typing import Any

import keras
import tensorflow as tf

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

    def __init__(self, pool_size: int | tuple[int, int] = 2, **kwargs: Any) -> None:
        """Creates the layer.

        Args:
            pool_size: positive int, or a pair of equal positive ints: side of a block and stride.
            **kwargs: Keras' `name`, `dtype`.

        Raises:
            ValueError: if `pool_size` is not positive, or its sides differ.
        """
        super().__init__(**kwargs)
        sides = {pool_size} if isinstance(pool_size, int) else set(pool_size)
        if len(sides) != 1 or min(sides) <= 0:
            raise ValueError(
                "`pool_size` must be a positive int, or a pair of equal positive ints. "
                f"Received: pool_size={pool_size}."
            )
        self.pool_size = int(min(sides))
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
        return {**super().get_config(), "pool_size": self.pool_size}
