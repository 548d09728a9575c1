"""The inputs and the output that a model expects, of whatever kind the model is."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf.conversion import is_rebuildable
from mtnet_tf.layers import input_specs
from mtnet_tf.meta import single_output

# A tensor, or a dict, list or tuple of them.
Inputs = Any


class ModelInputs:
    """What a model expects: one tensor, or a dict, list or tuple of them.

    Attributes:
        names: the names of the inputs, in the order of `tf.nest.flatten`; [""] for one tensor.
        specs: a `tf.TensorSpec` [n, ...] for each of them.
        output_shape: shape of the output, (None, ..., N).
        output_dtype: dtype of the output.
        target_dtype: dtype of targets that are not class numbers.
    """

    def __init__(self, model: keras.Model) -> None:
        """Finds the inputs of a model.

        Args:
            model: built Keras model. A subclass of `keras.Model` is called symbolically with the
                shapes of its first call; its inputs are floats.
        """
        self._structure = _specs(model)
        self.names = _names(self._structure)
        self.specs: list[tf.TensorSpec] = tf.nest.flatten(self._structure)
        output = _output(model, self._structure)
        self.output_shape = tuple(output.shape)
        self.output_dtype = output.dtype
        self.target_dtype = "float64" if output.dtype == "float64" else "float32"

    @property
    def shapes(self) -> Any:
        """Shape of an example; a dict from names to shapes if there are several inputs."""
        shapes = [spec.shape[1:].as_list() for spec in self.specs]
        return shapes[0] if self.names == [""] else dict(zip(self.names, shapes, strict=True))

    def pack(self, tensors: list[tf.Tensor]) -> Inputs:
        """The structure that the model expects, from its tensors in the order of `names`."""
        return tf.nest.pack_sequence_as(self._structure, tensors)

    def convert(self, x: Any, name: str) -> Inputs:
        """Converts inputs to tensors and checks them.

        Args:
            x: array-like [n, ...]; or a dict or sequence of them for several inputs.
            name: name of the argument, for messages.

        Returns:
            Structure of tensors [n, ...], as the model expects it.

        Raises:
            ValueError: if the structure or a shape does not fit the model.
        """
        parts = self._parts(x, name)
        tensors = [
            _tensor(part, spec, f"{name}[{key!r}]" if key else name)
            for part, spec, key in zip(parts, self.specs, self.names, strict=True)
        ]
        counts = [tensor.shape[0] for tensor in tensors]
        if len(set(counts)) > 1:
            raise ValueError(
                f"All inputs in `{name}` must have the same number of examples. "
                f"Received: {dict(zip(self.names, counts, strict=True))}."
            )
        return self.pack(tensors)

    def _parts(self, x: Any, name: str) -> list[Any]:
        """The inputs in `x`, in the order of `names`."""
        if self.names == [""] and not isinstance(x, Mapping):
            return [x]
        if isinstance(x, Mapping) and set(x) == set(self.names):
            return [x[key] for key in self.names]
        is_ordered = isinstance(self._structure, list | tuple)
        if is_ordered and isinstance(x, list | tuple) and len(x) == len(self.names):
            return list(x)
        if len(self.names) == 1 and not isinstance(x, Mapping):
            return [x]
        if self.names == [""]:
            raise ValueError(
                f"`{name}` must be one array, because the model has one input. "
                f"Received: a dict with {sorted(map(str, x))}."
            )
        sequence = ", or a list of them in this order" if is_ordered else ""
        received = f"{type(x).__name__}"
        if isinstance(x, Mapping):
            received = f"a dict with {sorted(map(str, x))}"
        elif isinstance(x, list | tuple):
            received = f"a {received} of {len(x)}"
        raise ValueError(
            f"`{name}` must be a dict with the inputs {self.names} of the model{sequence}. "
            f"Received: {received}."
        )


def _specs(model: keras.Model) -> Any:
    specs = input_specs(model)
    if specs is None:
        raise ValueError(
            "`model` must be a Sequential or functional model, or a subclass of `keras.Model` with "
            f"one argument that was called on data. Received: {model.name}, whose input shapes are "
            "unknown. Call it once, or wrap it: `keras.Model(inputs, model(inputs))`."
        )
    return specs


def _output(model: keras.Model, specs: Any) -> Any:
    """The symbolic output of a model; a subclass is called for it."""
    if is_rebuildable(model):
        return single_output(model.outputs)
    inputs = tf.nest.map_structure(
        lambda spec: keras.KerasTensor(spec.shape, spec.dtype.name), specs
    )
    return single_output(model(inputs))


def _names(structure: Any) -> list[str]:
    """Names of the inputs, in the order of `tf.nest.flatten`."""
    if isinstance(structure, Mapping):
        return [
            f"{key}_{name}" if name else str(key)
            for key in sorted(structure)
            for name in _names(structure[key])
        ]
    if isinstance(structure, list | tuple):
        return [spec.name for spec in tf.nest.flatten(structure)]
    return [""]


def _tensor(part: Any, spec: tf.TensorSpec, name: str) -> tf.Tensor:
    tensor = tf.convert_to_tensor(np.asarray(keras.ops.convert_to_numpy(part)))
    if spec.dtype != tf.string:
        tensor = tf.cast(tensor, spec.dtype)
    expected = spec.shape[1:]
    if not tensor.shape[1:].is_compatible_with(expected) or not tensor.shape[:1].num_elements():
        sizes = ", ".join(["n", *map(str, expected)])
        raise ValueError(
            f"`{name}` must have shape [{sizes}] with n >= 1. It is the support set of one task. "
            f"Received: an array of shape {list(tensor.shape)}."
        )
    return tensor
