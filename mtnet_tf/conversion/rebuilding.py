"""Copies of a Keras model in which some layers are replaced."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mtnet_tf._keras import Functional, check_keras_model, flatten_layers, is_optional
from mtnet_tf.conversion.comparing import check_same_outputs
from mtnet_tf.conversion.copying import copy_attributes, copy_layer
from mtnet_tf.layers import TWLayer, not_built


@dataclass(frozen=True)
class Replacement:
    """The layer that replaces another one, and the values of its variables.

    Attributes:
        layer: the new layer.
        values: arrays for the variables in `targets()`, in this order.
        cells: the TW layers inside `layer` whose task weights get `values`; None if all variables
            of `layer` get them.
        source: the layer of which `layer` is a copy, with the same attributes; None if it is
            another layer.
    """

    layer: keras.layers.Layer
    values: Sequence[Any]
    cells: Sequence[TWLayer] | None = None
    source: keras.layers.Layer | None = None

    def targets(self) -> list[keras.Variable]:
        """The variables that get `values`."""
        if self.cells is None:
            return self.layer.variables
        return [weight.variable for cell in self.cells for weight in cell.task_weights()]


def rebuild(
    model: keras.Model,
    replace: Callable[[keras.layers.Layer], Replacement],
    *,
    check_outputs: bool = False,
) -> keras.Model:
    """Copies a model and replaces its layers.

    Args:
        model: built Sequential or functional model.
        replace: function that returns the `Replacement` of a layer. It is called once for each
            layer. Nested models are traversed and not passed to it.
        check_outputs: whether the copy must have the outputs of `model`, see `check_same_outputs`.

    Returns:
        Keras model of the same kind.

    Raises:
        ValueError: if the model is not built, is a subclass of `keras.Model`, or has other outputs
            than its copy although they are checked.
    """
    check_rebuildable(model)
    replacements: list[tuple[keras.layers.Layer, Replacement]] = []

    def clone(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):  # an operation, such as x + y
            return type(layer).from_config(layer.get_config())
        replacements.append((layer, replace(layer)))
        return replacements[-1][1].layer

    copy = keras.models.clone_model(
        model, _inputs_like(model), clone_function=clone, recursive=True
    )
    for layer, replacement in replacements:
        if not replacement.layer.built:  # in a Sequential model that Keras could not trace
            replacement.layer.build_from_config(layer.get_build_config() or {})
        for variable, value in zip(replacement.targets(), replacement.values, strict=True):
            variable.assign(keras.ops.reshape(value, variable.shape))
        if replacement.source is not None:
            copy_attributes(replacement.source, replacement.layer)
    finalize_statistics(copy)
    if check_outputs:
        check_same_outputs(model, copy, [(old, new.layer) for old, new in replacements])
    return copy


def _inputs_like(model: keras.Model) -> Any:
    """New inputs of a functional model; None for Keras' own, which are dense and not optional."""
    if isinstance(model, keras.Sequential):
        return None

    def new_input(x: Any) -> Any:
        return keras.Input(
            batch_shape=x.shape,
            dtype=x.dtype,
            name=x.name,
            sparse=x.sparse,
            optional=is_optional(x),
        )

    return keras.tree.map_structure(new_input, model.input)


def finalize_statistics(model: keras.Model) -> None:
    """Makes every `keras.layers.Normalization` use the statistics in its variables.

    The layer itself reads its variables in `adapt` and in `load_weights` only.
    """
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def is_rebuildable(model: keras.Model) -> bool:
    """Whether the model has a graph of layers: whether it is Sequential or functional."""
    return isinstance(model, keras.Sequential | Functional)


def check_rebuildable(model: keras.Model) -> None:
    """Raises ValueError if the model is not built, or is a subclass of `keras.Model`."""
    check_keras_model(model)
    if not is_rebuildable(model):
        raise ValueError(
            "`model` must be a Sequential or functional Keras model. "
            f"Received: {model.name} of class {type(model).__name__}. Write it as "
            "`keras.Model(inputs, outputs)`, or build it from TWDense and TWConv2D layers."
        )
    if not model.built or not all(layer.built for layer in model.layers):
        raise not_built(model)


def copy_of(layer: keras.layers.Layer, values: Sequence[Any] | None = None) -> Replacement:
    """The `Replacement` of a layer by a copy, or by itself if it has no weights and no copy.

    Args:
        layer: the layer.
        values: arrays for the variables of the copy; None for those of the layer.
    """
    if values is None:
        values = [to_numpy(variable) for variable in layer.variables]
    return Replacement(copy_layer(layer), values, source=layer)


def to_numpy(variable: keras.Variable) -> np.ndarray:
    """The value of a variable."""
    return np.asarray(keras.ops.convert_to_numpy(variable))
