"""`TWDepthwiseConv2D`: the cell whose W processes each channel separately."""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import keras
import tensorflow as tf

from mtnet_tf.layers.integers import cast_integers
from mtnet_tf.layers.tw_conv import TWConv
from mtnet_tf.layers.tw_layer import MaskKind, Shape, Spec

# Arguments of version 0.1.0.
_RENAMED = {
    "kernel_initializer": "depthwise_initializer",
    "kernel_regularizer": "depthwise_regularizer",
}


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TWDepthwiseConv2D(TWConv):
    """Depthwise cell: `activation((depthwise_conv(x, W) + b) @ T)`, T applied to each pixel.

    Used like `keras.layers.DepthwiseConv2D` on channels-last images; U = C * depth_multiplier. W
    processes each channel separately, and T [U, U] mixes them. With a learned T, the cell is a
    separable convolution of which only the depthwise half adapts to a task.

    W is [kh, kw, U], which is Keras' [kh, kw, C, depth_multiplier] with the last two axes merged,
    so that an output unit is the last axis, as in the other cells.
    """

    _units_argument = "depth_multiplier"

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | tuple[int, int] = (1, 1),
        activation: Spec = None,
        use_bias: bool = True,
        depthwise_initializer: Spec = "glorot_uniform",
        bias_initializer: Spec = "zeros",
        depthwise_regularizer: Spec = None,
        bias_regularizer: Spec = None,
        activity_regularizer: Spec = None,
        depthwise_constraint: Spec = None,
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
        """Creates the layer. The first arguments are those of `keras.layers.DepthwiseConv2D`.

        Args:
            kernel_size: int or pair.
            strides: int or pair.
            padding: "valid" or "same".
            depth_multiplier: output channels per input channel.
            data_format: None or "channels_last".
            dilation_rate: int or pair.
            activation: function after T, or its name.
            use_bias: whether there is a bias b, [U].
            depthwise_initializer: initial values of W.
            bias_initializer: initial values of b.
            depthwise_regularizer: regularizer of W.
            bias_regularizer: regularizer of b.
            activity_regularizer: regularizer of the outputs.
            depthwise_constraint: constraint on W after each optimizer step.
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
            **kwargs: Keras' `name`, `dtype`, `trainable`. Also the arguments `kernel_initializer`
                and `kernel_regularizer` of version 0.1.0, with a warning.

        Raises:
            ValueError: if a size is not positive, or a padding, data format or mask is unknown.
        """
        for old, new in _RENAMED.items():
            if old in kwargs:
                warnings.warn(f"`{old}` is now `{new}`.", DeprecationWarning, stacklevel=2)
        depthwise_initializer = kwargs.pop("kernel_initializer", depthwise_initializer)
        depthwise_regularizer = kwargs.pop("kernel_regularizer", depthwise_regularizer)
        super().__init__(
            depth_multiplier,  # the number of units is known when the number of channels is
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=depthwise_constraint,
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
        self.depth_multiplier = self.units

    def build(self, input_shape: Shape) -> None:
        """Creates W, b, T `[U, U]` and the mask logits."""
        self.units = self._channels(input_shape) * self.depth_multiplier
        super().build(input_shape)

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        return (*self.kernel_size, self.units)

    def _linear(self, inputs: tf.Tensor) -> tf.Tensor:
        split = [*self.kernel_size, -1, self.depth_multiplier]
        convolve: Any = keras.ops.depthwise_conv
        return convolve(
            cast_integers(inputs, self.compute_dtype),
            tf.reshape(self.kernel, split),
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def _num_groups(self) -> int:
        return self.units // self.depth_multiplier  # each channel is a group

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """[n, H, W, C] -> [n, H', W', U]."""
        shape = super().compute_output_shape(input_shape)
        return (*shape[:-1], self._channels(input_shape) * self.depth_multiplier)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        config = super().get_config()
        for kind in ("initializer", "regularizer", "constraint"):
            config[f"depthwise_{kind}"] = config.pop(f"kernel_{kind}")
        return {**config, "depth_multiplier": self.depth_multiplier}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Creates the layer from `get_config`; version 0.1.0 wrote `kernel_` for `depthwise_`."""
        return cls(**{_RENAMED.get(name, name): value for name, value in config.items()})
