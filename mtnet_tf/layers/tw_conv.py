"""What the convolutional cells share: the geometry of a convolution of any rank."""

import abc
import operator
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.fast_weights import SharedWeight, of_tasks
from mtnet_tf.layers.integers import cast_integers, is_integer, validate_integer
from mtnet_tf.layers.patches import check_channels_last, geometry, grouped_product, patches
from mtnet_tf.layers.tw_layer import Shape, TWLayer, cell


class TWConv(TWLayer, abc.ABC):
    """Abstract convolutional cell, channels last.

    In a meta-step every task has its own kernel, and the convolution is a matrix product over
    shifted slices, which has exact derivatives of every order and compiles with XLA on any device.
    A subclass defines its `rank`, the number of spatial axes, and the `paddings` it accepts.
    """

    _units_argument = "filters"
    rank = 2
    paddings: tuple[str, ...] = ("valid", "same")

    def __init__(
        self,
        units: int,
        kernel_size: int | tuple[int, ...],
        *,
        strides: int | tuple[int, ...] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        """Validates and stores the arguments.

        Args:
            units: U, number of output channels.
            kernel_size: int, or one for each spatial axis.
            strides: int, or one for each spatial axis.
            padding: one of `paddings`.
            data_format: None or "channels_last".
            dilation_rate: int, or one for each spatial axis.
            groups: G, number of groups of channels that W processes separately; T mixes all of
                them. It divides the numbers of input and output channels.
            **kwargs: further arguments of `TWLayer`.

        Raises:
            ValueError: if a size is not a positive integer, a padding or data format is unknown,
                `groups` does not divide `units`, or strides and dilation rate are both above 1; and
                as for `TWLayer`.
        """
        super().__init__(units, **kwargs)
        self.kernel_size = self._sizes("kernel_size", kernel_size)
        self.strides = self._sizes("strides", strides)
        self.dilation_rate = self._sizes("dilation_rate", dilation_rate)
        self.padding = str(padding).lower()
        if self.padding not in self.paddings:
            choices = " or ".join(repr(p) for p in self.paddings)
            raise ValueError(f"`padding` must be {choices}. Received: padding={padding!r}.")
        check_channels_last(data_format)
        self.groups = validate_integer("groups", groups, 1)
        if self.units % self.groups:
            raise ValueError(
                f"`{self._units_argument}` must be a multiple of `groups`. "
                f"Received: {self._units_argument}={units}, groups={groups}."
            )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides` and `dilation_rate` cannot both be above 1. Received: "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}."
            )
        self.input_spec = keras.layers.InputSpec(ndim=self.rank + 2)

    def _sizes(self, name: str, value: int | tuple[int, ...]) -> tuple[int, ...]:
        sizes = tuple(value) if isinstance(value, list | tuple) else (value,) * self.rank
        if len(sizes) != self.rank or any(not is_integer(v) or v <= 0 for v in sizes):
            several = " or a pair of them" if self.rank == 2 else ""
            raise ValueError(
                f"`{name}` must be a positive integer{several}. Received: {name}={value}."
            )
        return tuple(map(operator.index, sizes))

    def _channels(self, input_shape: Shape) -> int:
        if input_shape[-1] is None:
            raise ValueError(
                f"The channel axis (last) of the inputs of `{type(self).__name__}` must be known. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        return input_shape[-1]

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                "The number of input channels must be a multiple of `groups`. "
                f"Received: input_shape={tuple(input_shape)}, groups={self.groups}."
            )
        return (*self.kernel_size, channels // self.groups, self.units)

    def _linear(self, inputs: tf.Tensor) -> tf.Tensor:
        inputs = cast_integers(inputs, self.compute_dtype)
        padding = self.padding
        if padding == "causal":
            before = (self.kernel_size[0] - 1) * self.dilation_rate[0]
            inputs, padding = tf.pad(inputs, [(0, 0), (before, 0), (0, 0)]), "valid"
        convolve: Any = keras.ops.conv
        return convolve(
            inputs,
            self.kernel,
            strides=list(self.strides),
            padding=padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def _rows(self, inputs: tf.Tensor) -> tf.Tensor:
        return patches(inputs, self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def _num_groups(self) -> int | None:
        """The number of groups of channels; None for one matrix product of all channels."""
        return None if self.groups == 1 else self.groups

    def _cell(
        self,
        rows: tf.Tensor,
        kernel: tf.Tensor | SharedWeight,
        bias: tf.Tensor | None,
        transform: tf.Tensor | None,
    ) -> tf.Tensor:
        num_groups = self._num_groups()
        if num_groups is None:
            return super()._cell(rows, kernel, bias, transform)
        products = grouped_product(rows, of_tasks(kernel), self.kernel_size, num_groups)
        return cell(products, None, bias, transform)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """[n, *S, C] -> [n, *S', U]."""
        axes = zip(
            input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True
        )
        spatial = [
            None if size is None else geometry(size, kernel, stride, dilation, self.padding)[0]
            for size, kernel, stride, dilation in axes
        ]
        return (input_shape[0], *spatial, self.units)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": "channels_last",
            "dilation_rate": self.dilation_rate,
        }
