"""`TWDense`: the dense cell of T-nets and MT-nets."""

from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.tw_layer import MaskKind, Shape, Spec, TWLayer


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWDense(TWLayer):
    """Dense cell `activation((x @ W + b) @ T)`, used like `keras.layers.Dense`.

    W is [D, U]; T is [U, U] and starts as the identity.

    Example:
    >>> import tensorflow as tf
    >>> TWDense(40, "relu")(tf.ones([8, 3])).shape
    TensorShape([8, 40])
    """

    def __init__(
        self,
        units: int,
        activation: Spec = None,
        use_bias: bool = True,
        kernel_initializer: Spec = "glorot_uniform",
        bias_initializer: Spec = "zeros",
        kernel_regularizer: Spec = None,
        bias_regularizer: Spec = None,
        activity_regularizer: Spec = None,
        kernel_constraint: Spec = None,
        bias_constraint: Spec = None,
        *,
        transform: bool = True,
        mask: MaskKind = "unit",
        temperature: float = 1.0,
        hard_mask: bool = True,
        transform_initializer: Spec = "identity",
        mask_initializer: Spec = "zeros",
        transform_regularizer: Spec = None,
        transform_constraint: Spec = None,
        **kwargs: Any,
    ) -> None:
        """Creates the layer. The first arguments are those of `keras.layers.Dense`.

        Args:
            units: U, number of outputs.
            activation: function after T, or its name.
            use_bias: whether there is a bias b, [U].
            kernel_initializer: initial values of W.
            bias_initializer: initial values of b.
            kernel_regularizer: regularizer of W.
            bias_regularizer: regularizer of b.
            activity_regularizer: regularizer of the outputs.
            kernel_constraint: constraint on W after each optimizer step.
            bias_constraint: constraint on b after each optimizer step.
            transform: whether there is a transformation T, [U, U]. False: M-net, or MAML.
            mask: "unit" for one mask entry per unit, shared by its weights and its bias; "weight"
                for one per weight and bias; None for no mask (T-net, MAML).
            temperature: positive, c in eq. 11.
            hard_mask: True for 0/1 masks with the gradient of the soft sample, as in the authors'
                code; False for the soft samples of eq. 11.
            transform_initializer: initial values of T.
            mask_initializer: initial values of the mask logits zeta; zeros make every unit active
                with probability one half.
            transform_regularizer: regularizer of T.
            transform_constraint: constraint on T after each optimizer step.
            **kwargs: Keras' `name`, `dtype`, `trainable`.

        Raises:
            ValueError: if `units` or `temperature` is not positive, or `mask` is unknown.
        """
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            transform=transform,
            mask=mask,
            temperature=temperature,
            hard_mask=hard_mask,
            transform_initializer=transform_initializer,
            mask_initializer=mask_initializer,
            transform_regularizer=transform_regularizer,
            transform_constraint=transform_constraint,
            **kwargs,
        )
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        if input_shape[-1] is None:
            raise ValueError(
                "The last axis of the inputs of `TWDense` must be known. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        return (input_shape[-1], self.units)

    def _linear(self, inputs: tf.Tensor) -> tf.Tensor:
        multiply: Any = keras.ops.matmul
        return multiply(inputs, self.kernel)

    def _rows(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """[..., D] -> [..., U]."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        return {**super().get_config(), "units": self.units}
