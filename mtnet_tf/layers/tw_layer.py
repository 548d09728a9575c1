"""What the TW layers share: a cell `(x W + b) T` with masked task weights."""

import abc
import math
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from mtnet_tf.layers.fast_weights import (
    FastWeightScope,
    SharedWeight,
    active,
    of_tasks,
    shared_product,
)
from mtnet_tf.layers.integers import cast_integers, validate_integer, validate_positive
from mtnet_tf.layers.mask_logits import MaskLogits
from mtnet_tf.layers.masks import attach

MaskKind = Literal["unit", "weight"] | None
MASK_KINDS = ("unit", "weight", None)
# What Keras accepts in place of an initializer, a regularizer, a constraint or an activation.
Spec = Any
Shape = tuple[int | None, ...]


class TaskWeight(NamedTuple):
    """A variable that the inner loop adapts.

    Attributes:
        variable: the Keras variable.
        mask_logits: the logits of the mask of its gradient; None: no mask.
        flattened: whether its layer computes for all tasks at once inside a `FastWeightScope`. If
            one layer does not, the model is called task by task.
    """

    variable: keras.Variable
    mask_logits: MaskLogits | None
    flattened: bool = True


class TWLayer(keras.layers.Layer, abc.ABC):
    """Abstract cell `activation((x W + b) T)` (eq. 3; the paper writes T W x with columns).

    The inner loop adapts W and b of the units whose mask is 1. T, the mask logits and everything
    else are only meta-learned. Outside of a meta-step it is an ordinary layer.

    A final subclass defines the shape of its kernel, and how an input becomes rows to multiply:
    `_kernel_shape`, `_rows` and `_linear`.
    """

    _units_argument = "units"  # what the constructor of the final class calls `units`

    def __init__(
        self,
        units: int,
        *,
        activation: Spec = None,
        use_bias: bool = True,
        kernel_initializer: Spec = "glorot_uniform",
        bias_initializer: Spec = "zeros",
        kernel_regularizer: Spec = None,
        bias_regularizer: Spec = None,
        activity_regularizer: Spec = None,
        kernel_constraint: Spec = None,
        bias_constraint: Spec = None,
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
        """Validates and stores the arguments.

        Args:
            units: U, number of output units.
            activation: function after T, or its name.
            use_bias: whether there is a bias b, [U].
            kernel_initializer: initial values of W.
            bias_initializer: initial values of b.
            kernel_regularizer: regularizer of W.
            bias_regularizer: regularizer of b.
            activity_regularizer: regularizer of the outputs.
            kernel_constraint: constraint on W after each optimizer step.
            bias_constraint: constraint on b after each optimizer step.
            transform: whether there is a transformation T, [U, U].
            mask: "unit" for one mask entry per unit; "weight" for one per weight and bias; None for
                no mask.
            temperature: positive, c in eq. 11.
            hard_mask: True for 0/1 masks; False for the soft samples of eq. 11.
            transform_initializer: initial values of T.
            mask_initializer: initial values of the mask logits zeta.
            transform_regularizer: regularizer of T.
            transform_constraint: constraint on T after each optimizer step.
            **kwargs: Keras' `name`, `dtype`, `trainable`.

        Raises:
            ValueError: if `units` is not a positive integer, `temperature` is not positive, or
                `mask` is unknown.
        """
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if mask not in MASK_KINDS:
            raise ValueError(f"`mask` must be 'unit', 'weight' or None. Received: mask={mask!r}.")
        self.units = validate_integer(self._units_argument, units, 1)
        self.activation: Any = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.use_transform = bool(transform)
        self.mask = mask
        self.temperature = validate_positive("temperature", temperature)
        self.hard_mask = bool(hard_mask)
        self.transform_initializer = keras.initializers.get(transform_initializer)
        self.mask_initializer = keras.initializers.get(mask_initializer)
        self.transform_regularizer = keras.regularizers.get(transform_regularizer)
        self.transform_constraint = keras.constraints.get(transform_constraint)
        self.bias = self.transform = self.kernel_mask = self.bias_mask = None

    def build(self, input_shape: Shape) -> None:
        """Creates W, b, T `[U, U]` and the mask logits."""
        self.kernel = self._add("kernel", self._kernel_shape(input_shape))
        if self.use_bias:
            self.bias = self._add("bias", (self.units,))
        if self.use_transform:
            self.transform = self._add("transform", (self.units, self.units))
        self._build_masks()
        # Inputs of another width then raise a clear error in Keras.
        if self.input_spec is not None:
            self.input_spec.axes = {-1: input_shape[-1]}
        self.built = True

    def _add(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
        )

    def _build_masks(self) -> None:
        if self.mask == "unit":
            # One entry per unit, shared by the unit's weights and its bias.
            self.kernel_mask = self.bias_mask = self._mask_logits("mask", (self.units,))
        elif self.mask == "weight":
            self.kernel_mask = self._mask_logits("kernel_mask", self.kernel.shape)
            if self.use_bias:
                self.bias_mask = self._mask_logits("bias_mask", (self.units,))

    def _mask_logits(self, name: str, shape: tuple[int, ...]) -> MaskLogits:
        layer = MaskLogits(
            shape,
            temperature=self.temperature,
            hard=self.hard_mask,
            initializer=self.mask_initializer,
            trainable=self.trainable,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build()
        return layer

    def task_weights(self) -> list[TaskWeight]:
        """The variables that the inner loop adapts, W first, each with its mask logits."""
        weights = [TaskWeight(self.kernel, self.kernel_mask)]
        if self.use_bias:
            weights.append(TaskWeight(self.bias, self.bias_mask))
        return weights

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`activation((x W + b) T)`; inside a `FastWeightScope`, for all tasks at once."""
        scope = active()
        return self.activation(
            self._plain(inputs) if scope is None else self._flattened(inputs, scope)
        )

    def _plain(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs: Any = self._linear(inputs)
        if self.bias is not None:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        for mask_logits in {id(m): m for m in (self.kernel_mask, self.bias_mask) if m}.values():
            outputs = attach(outputs, tf.convert_to_tensor(mask_logits.logits.value))
        return outputs if self.transform is None else outputs @ tf.convert_to_tensor(self.transform)

    def _flattened(self, inputs: tf.Tensor, scope: FastWeightScope) -> tf.Tensor:
        rows = cast_integers(self._rows(inputs), self.compute_dtype)  # [B*n, ..., D]
        fan_in = math.prod(self.kernel.shape) // self.units  # D, for dense and convolutional cells
        kernel = self._task_value(self.kernel, scope, (fan_in, self.units))  # [B or 1, D, U]
        bias = transform = None
        if self.use_bias:
            bias = of_tasks(self._task_value(self.bias, scope, (1, self.units)))  # [B or 1, 1, U]
        if self.transform is not None:
            transform = tf.cast(self.transform.value, self.compute_dtype)
        adapts = isinstance(kernel, SharedWeight) or kernel.shape[0] != 1
        groups = scope.num_tasks if adapts or (bias is not None and bias.shape[0] != 1) else 1
        rows_of_tasks = tf.reshape(rows, [groups, -1, rows.shape[-1]])
        outputs = self._cell(rows_of_tasks, kernel, bias, transform)
        if scope.on_cell is not None:
            scope.on_cell(self, rows_of_tasks, outputs)
        return tf.reshape(outputs, tf.concat([tf.shape(rows)[:-1], [self.units]], 0))

    def _cell(
        self,
        rows: tf.Tensor,
        kernel: tf.Tensor | SharedWeight,
        bias: tf.Tensor | None,
        transform: tf.Tensor | None,
    ) -> tf.Tensor:
        return cell(rows, kernel, bias, transform)

    def _task_value(
        self, variable: keras.Variable, scope: FastWeightScope, shape: tuple[int, ...]
    ) -> tf.Tensor | SharedWeight:
        """A value of each task [B, *shape], or one [1, *shape] of a weight that does not adapt."""

        def shaped(value: tf.Tensor, *leading: int) -> tf.Tensor:
            return tf.reshape(tf.cast(value, self.compute_dtype), [*leading, *shape])

        value = scope.get(variable)
        if isinstance(value, SharedWeight):
            return SharedWeight(shaped(value.value), shaped(value.offsets, -1))
        return shaped(variable.value if value is None else value, -1)

    @abc.abstractmethod
    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        """Shape of W for this input shape."""

    @abc.abstractmethod
    def _linear(self, inputs: tf.Tensor) -> tf.Tensor:
        """`x W` of an ordinary layer, [n, ..., U]."""

    @abc.abstractmethod
    def _rows(self, inputs: tf.Tensor) -> tf.Tensor:
        """The inputs as rows [B*n, ..., D], so that the layer is the product rows @ W [D, U]."""

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        config = super().get_config()
        for name in ("kernel", "bias", "transform", "mask"):
            initializer = getattr(self, f"{name}_initializer")
            config[f"{name}_initializer"] = keras.initializers.serialize(initializer)
        for name in ("kernel", "bias", "transform"):
            regularizer = getattr(self, f"{name}_regularizer")
            config[f"{name}_regularizer"] = keras.regularizers.serialize(regularizer)
            constraint = getattr(self, f"{name}_constraint")
            config[f"{name}_constraint"] = keras.constraints.serialize(constraint)
        regularizer = keras.regularizers.serialize(self.activity_regularizer)
        return {
            **config,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "activity_regularizer": regularizer,
            "transform": self.use_transform,
            "mask": self.mask,
            "temperature": self.temperature,
            "hard_mask": self.hard_mask,
        }


def cell(
    rows: tf.Tensor,
    kernel: tf.Tensor | SharedWeight | None,
    bias: tf.Tensor | None,
    transform: tf.Tensor | None,
) -> tf.Tensor:
    """`(rows @ kernel + bias) @ transform`, multiplied in the cheaper order (eq. 3).

    T is constant during the inner loop, so `(A W + b) T = A (W T) + b T`. First layers have few
    inputs and many rows, and merge T into W. Later layers apply T to their few activations.

    Args:
        rows: [G, m, D], the rows of G tasks.
        kernel: [G, D, U], or a `SharedWeight` of shape [D, U]; None if the rows are products
            already, [G, m, U].
        bias: [G or 1, 1, U] or None.
        transform: [U, U] or None.

    Returns:
        Tensor [G, m, U].
    """
    sizes: Any = rows.shape
    num_rows, depth = sizes[1], sizes[2]
    if kernel is not None and transform is not None and num_rows is not None and depth < num_rows:
        kernel = _transformed(kernel, transform)
        bias = None if bias is None else bias @ transform
        transform = None
    outputs = rows if kernel is None else _product(rows, kernel)  # [G, m, U]
    if bias is not None:
        outputs += bias
    return outputs if transform is None else outputs @ transform


def _transformed(kernel: tf.Tensor | SharedWeight, transform: tf.Tensor) -> Any:
    """W T of each task, in the form in which W is given."""
    if isinstance(kernel, SharedWeight):
        return kernel.map(lambda w: w @ transform)
    return kernel @ transform


def _product(rows: tf.Tensor, kernel: tf.Tensor | SharedWeight) -> tf.Tensor:
    """`rows @ kernel` of each task, [G, m, U]."""
    return shared_product(rows, kernel) if isinstance(kernel, SharedWeight) else rows @ kernel
