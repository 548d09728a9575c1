"""`TWConv2D`: the convolutional cell of T-nets and MT-nets."""

from typing import Any

import keras

from mtnet_tf.layers.tw_conv import TWConv
from mtnet_tf.layers.tw_layer import MaskKind, Spec


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWConv2D(TWConv):
    """Convolutional cell: `activation((conv(x, W) + b) @ T)`, T applied to each pixel.

    Used like `keras.layers.Conv2D` on channels-last images. T is [U, U], a 1x1 convolution (paper,
    footnote of section 3.1). In a meta-step the convolution is a matrix product over shifted
    slices, `[B, n*H*W, kh*kw*C] @ [B, kh*kw*C, U]`.

    Example:
    >>> import tensorflow as tf
    >>> TWConv2D(64, 3, 2, "same")(tf.ones([8, 28, 28, 1])).shape
    TensorShape([8, 14, 14, 64])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, int] = (1, 1),
        groups: int = 1,
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
        """Creates the layer. The first arguments are those of `keras.layers.Conv2D`.

        Args:
            filters: U, number of output channels.
            kernel_size: int or pair.
            strides: int or pair.
            padding: "valid" or "same".
            data_format: None or "channels_last".
            dilation_rate: int or pair.
            groups: number of groups of channels that W processes separately. T mixes all output
                channels.
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
            ValueError: if a size is not positive, a padding, data format or mask is unknown, or
                `groups` does not divide `filters`.
        """
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
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

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        return {**super().get_config(), "filters": self.units, "groups": self.groups}
