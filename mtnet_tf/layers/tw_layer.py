"""What the TW layers share: a cell `(x W + b) T` with masked task weights."""

import abc
import math
from typing import NamedTuple

import keras
import tensorflow as tf

from mtnet_tf.layers.fast_weights import CellPass, active
from mtnet_tf.layers.mask_logits import MaskLogits
from mtnet_tf.layers.masks import attach

MASK_KINDS = ("unit", "weight", None)


class TaskWeight(NamedTuple):
    """A variable that the inner loop adapts.

    Attributes:
      variable: the Keras variable.
      mask_logits: of the mask of its gradient; None: no mask.
      flattened: its layer computes for all tasks at once inside a fast-weight scope. Where one layer
        does not, the model is run task by task.
    """

    variable: keras.Variable
    mask_logits: MaskLogits | None
    flattened: bool = True


class TWLayer(keras.layers.Layer, abc.ABC):
    """Abstract cell `activation((x W + b) T)` (eq. 3; the paper writes T W x with columns).

    The inner loop adapts W and b of the units whose mask is 1; T, the mask logits and everything
    else are meta-learned only. Outside the meta-step it is an ordinary layer.

    A final subclass says how its kernel looks and how an input becomes rows to multiply:
    `_kernel_shape`, `_rows` and `_linear`.
    """

    def __init__(
        self,
        units,
        *,
        transform=True,
        mask="unit",
        temperature=1.0,
        hard_mask=True,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        transform_initializer="identity",
        mask_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        transform_regularizer=None,
        **kwargs,
    ):
        """Validates and stores the arguments; see the subclasses."""
        super().__init__(**kwargs)
        if int(units) != units or units <= 0:
            raise ValueError(f"The number of units must be a positive integer. Received: {units}.")
        if mask not in MASK_KINDS:
            raise ValueError(f"`mask` must be 'unit', 'weight' or None. Received: mask={mask!r}.")
        self.units = int(units)
        self.use_transform = bool(transform)
        self.mask = mask
        self.temperature = temperature
        self.hard_mask = hard_mask
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.transform_initializer = keras.initializers.get(transform_initializer)
        self.mask_initializer = keras.initializers.get(mask_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.transform_regularizer = keras.regularizers.get(transform_regularizer)
        self.bias = self.transform = self.kernel_mask = self.bias_mask = None

    def build(self, input_shape):
        """Creates W, b, T `[U, U]` and the mask logits."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=self._kernel_shape(input_shape),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
            )
        if self.use_transform:
            self.transform = self.add_weight(
                name="transform",
                shape=(self.units, self.units),
                initializer=self.transform_initializer,
                regularizer=self.transform_regularizer,
            )
        self._build_masks()
        # Another width of the inputs is then one clear sentence of Keras' own.
        self.input_spec.axes = {-1: input_shape[-1]}
        self.built = True

    def _build_masks(self):
        if self.mask == "unit":
            # One entry per unit, shared by the unit's weights and its bias.
            self.kernel_mask = self.bias_mask = self._mask_logits("mask", (self.units,))
        elif self.mask == "weight":
            self.kernel_mask = self._mask_logits("kernel_mask", self.kernel.shape)
            if self.use_bias:
                self.bias_mask = self._mask_logits("bias_mask", (self.units,))

    def _mask_logits(self, name, shape):
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

    def task_weights(self):
        """The variables that the inner loop adapts, W first, each with its mask logits.

        Returns:
          List of `TaskWeight`.
        """
        weights = [TaskWeight(self.kernel, self.kernel_mask)]
        if self.use_bias:
            weights.append(TaskWeight(self.bias, self.bias_mask))
        return weights

    def call(self, inputs):
        """The cell, all tasks at once inside a fast-weight scope."""
        scope = active()
        return self.activation(
            self._plain(inputs) if scope is None else self._flattened(inputs, scope)
        )

    def _plain(self, inputs):
        bias = self.bias
        outputs = self._linear(inputs)
        if bias is not None:
            outputs = outputs + tf.convert_to_tensor(bias)
        for mask_logits in {id(m): m for m in (self.kernel_mask, self.bias_mask) if m}.values():
            outputs = attach(outputs, tf.convert_to_tensor(mask_logits.logits.value))
        return outputs if self.transform is None else outputs @ tf.convert_to_tensor(self.transform)

    def _flattened(self, inputs, scope):
        rows = self._rows(inputs)  # [B*n, ..., D]
        fan_in = math.prod(self.kernel.shape) // self.units  # D, if every input meets every unit
        kernel = self._task_value(self.kernel, scope, (fan_in, self.units))  # [B or 1, D, U]
        bias = transform = None
        if self.use_bias:
            bias = self._task_value(self.bias, scope, (1, self.units))  # [B or 1, 1, U]
        if self.transform is not None:
            transform = tf.cast(self.transform.value, self.compute_dtype)
        shared = kernel.shape[0] == 1 and (bias is None or bias.shape[0] == 1)
        groups = 1 if shared else scope.num_tasks
        rows_of_tasks = tf.reshape(rows, [groups, -1, rows.shape[-1]])
        outputs = self._cell(rows_of_tasks, kernel, bias, transform)
        if scope.cells is not None:
            scope.cells.append(CellPass(rows_of_tasks, outputs))
        return tf.reshape(outputs, tf.concat([tf.shape(rows)[:-1], [self.units]], 0))

    def _cell(self, rows, kernel, bias, transform):
        return cell(rows, kernel, bias, transform)

    def _task_value(self, variable, scope, shape):
        value = scope.get(variable)
        value = variable.value if value is None else value
        return tf.reshape(tf.cast(value, self.compute_dtype), [-1, *shape])

    @abc.abstractmethod
    def _kernel_shape(self, input_shape):
        """Shape of W for this input shape."""

    @abc.abstractmethod
    def _linear(self, inputs):
        """`x W` as an ordinary layer, [n, ..., U]."""

    @abc.abstractmethod
    def _rows(self, inputs):
        """The inputs as rows [B*n, ..., D], so that the layer is the product rows @ W [D, U]."""

    def get_config(self):
        """Arguments to create the layer again."""
        config = super().get_config()
        for name in ("kernel", "bias", "transform", "mask"):
            initializer = getattr(self, f"{name}_initializer")
            config[f"{name}_initializer"] = keras.initializers.serialize(initializer)
        for name in ("kernel", "bias", "transform"):
            regularizer = getattr(self, f"{name}_regularizer")
            config[f"{name}_regularizer"] = keras.regularizers.serialize(regularizer)
        return {
            **config,
            "transform": self.use_transform,
            "mask": self.mask,
            "temperature": self.temperature,
            "hard_mask": self.hard_mask,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }


def cell(rows, kernel, bias, transform):
    """`(rows @ kernel + bias) @ transform`, multiplied in the cheaper order.

    T is fixed during the inner loop, so `(A W + b) T = A (W T) + b T`: first layers have few
    inputs and many rows, and fold T into W; late layers transform their few activations.

    Args:
      rows: [G, m, D], the rows of G tasks.
      kernel: [G, D, U]; None where the rows are products already, [G, m, U].
      bias: [G or 1, 1, U] or None.
      transform: [U, U] or None.

    Returns:
      Tensor [G, m, U].
    """
    num_rows, depth = rows.shape[1], rows.shape[2]
    first = kernel is not None and num_rows is not None and depth < num_rows
    if transform is not None and first:
        kernel = kernel @ transform
        bias = None if bias is None else bias @ transform
        transform = None
    outputs = rows if kernel is None else rows @ kernel  # [G, m, U]
    if bias is not None:
        outputs += bias
    return outputs if transform is None else outputs @ transform
