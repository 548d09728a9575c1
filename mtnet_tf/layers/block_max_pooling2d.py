"""Max pooling over blocks that do not overlap, exact to second order under XLA."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="mtnet_tf")
class BlockMaxPooling2D(keras.layers.Layer):
    """`keras.layers.MaxPooling2D(pool_size)` written as reshape and maximum.

    XLA's second derivative of its pooling operation is approximate; this one is exact. Rows and
    columns that do not fill a block are left out ("valid").
    """

    def __init__(self, pool_size=2, **kwargs):
        """Creates the layer.

        Args:
          pool_size: positive int, side of a block and stride.
          **kwargs: `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.pool_size = int(pool_size)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        """Raises ValueError if height or width is unknown."""
        if None in tuple(input_shape[1:3]):
            raise ValueError(
                "Height and width must be known. "
                f"Received: input_shape={tuple(input_shape)}; give them in `keras.Input`."
            )
        self.built = True

    def call(self, inputs):
        """[n, H, W, C] becomes [n, H // pool_size, W // pool_size, C]."""
        size = self.pool_size
        height, width = inputs.shape[1] // size, inputs.shape[2] // size
        blocks = tf.reshape(
            inputs[:, : height * size, : width * size],
            [-1, height, size, width, size, inputs.shape[3]],
        )
        return tf.reduce_max(blocks, [2, 4])

    def compute_output_shape(self, input_shape):
        """[n, H, W, C] becomes [n, H // pool_size, W // pool_size, C]."""
        spatial = (None if s is None else s // self.pool_size for s in input_shape[1:3])
        return (input_shape[0], *spatial, input_shape[3])

    def get_config(self):
        """Arguments to create the layer again."""
        return {**super().get_config(), "pool_size": self.pool_size}
