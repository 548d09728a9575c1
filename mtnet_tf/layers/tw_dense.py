"""`TWDense`: the dense cell of T-nets and MT-nets."""

import keras

from mtnet_tf.layers.tw_layer import TWLayer


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWDense(TWLayer):
    """Dense cell `activation((x @ W + b) @ T)`, used like `keras.layers.Dense`.

    W is [D, U], T is [U, U] and starts as the identity. `transform=False` leaves T out (M-net,
    MAML); `mask=None` lets every weight adapt (T-net, MAML).

    Example:
    >>> TWDense(40, activation="relu")(tf.ones([8, 3])).shape
    TensorShape([8, 40])
    """

    def __init__(self, units, **kwargs):
        """Creates the layer.

        Args:
          units: U, number of outputs.
          **kwargs: `transform` (True), `mask` ("unit", "weight" or None), `temperature` (1.0),
            `hard_mask` (True), `activation`, `use_bias` (True), `kernel_initializer`,
            `bias_initializer`, `transform_initializer` ("identity"), `mask_initializer`
            ("zeros"), `kernel_regularizer`, `bias_regularizer`, `transform_regularizer`, and
            Keras' own `name`, `dtype`, `trainable`.

        Raises:
          ValueError: for a number of units, a mask kind or a temperature that makes no sense.
        """
        super().__init__(units, **kwargs)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def _kernel_shape(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(
                "The last axis of the inputs of `TWDense` must be known. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        return (input_shape[-1], self.units)

    def _linear(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)

    def _rows(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        """[..., D] becomes [..., U]."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Arguments to create the layer again."""
        return {**super().get_config(), "units": self.units}
