"""Copies of a Keras model in which some layers are replaced."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mtnet_tf._keras import Functional, flatten_layers
from mtnet_tf.layers import TWLayer


@dataclass(frozen=True)
class Replacement:
    """The layer that replaces another one, and the values of its variables.

    Attributes:
        layer: the new layer.
        values: arrays for the variables in `targets()`, in this order.
        cells: the TW layers inside `layer` whose task weights get `values`; None if all variables
            of `layer` get them.
    """

    layer: keras.layers.Layer
    values: Sequence[Any]
    cells: Sequence[TWLayer] | None = None

    def targets(self) -> list[keras.Variable]:
        """The variables that get `values`."""
        if self.cells is None:
            return self.layer.variables
        return [weight.variable for cell in self.cells for weight in cell.task_weights()]


def rebuild(
    model: keras.Model, replace: Callable[[keras.layers.Layer], Replacement]
) -> keras.Model:
    """Copies a model and replaces its layers.

    Args:
        model: built Sequential or functional model.
        replace: function that returns the `Replacement` of a layer. It is called once for each
            layer. Nested models are traversed and not passed to it.

    Returns:
        Keras model of the same kind.

    Raises:
        ValueError: if the model is not built, or is a subclass of `keras.Model`.
    """
    check_rebuildable(model)
    replacements = []

    def clone(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):  # an operation, such as x + y
            return type(layer).from_config(layer.get_config())
        replacements.append(replace(layer))
        return replacements[-1].layer

    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    for replacement in replacements:
        for variable, value in zip(replacement.targets(), replacement.values, strict=True):
            variable.assign(keras.ops.reshape(value, variable.shape))
    finalize_statistics(copy)
    return copy


def finalize_statistics(model: keras.Model) -> None:
    """Makes every `keras.layers.Normalization` use the statistics in its variables.

    The layer itself reads its variables in `adapt` and in `load_weights` only.
    """
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def check_rebuildable(model: keras.Model) -> None:
    """Raises ValueError if the model is not built, or is a subclass of `keras.Model`."""
    if not isinstance(model, keras.Sequential | Functional):
        raise ValueError(
            "`model` must be a Sequential or functional Keras model. "
            f"Received: {model.name} of class {type(model).__name__}. Write it as "
            "`keras.Model(inputs, outputs)`, or build it from TWDense and TWConv2D layers."
        )
    if not model.built:
        raise ValueError(
            f"`model` must be built. Received: {model.name}, which has no weights yet. Call it on "
            "data once, or start it with `keras.Input`."
        )


def new_layer(layer: keras.layers.Layer, config: dict[str, Any]) -> keras.layers.Layer:
    """Creates a layer of the same class from a configuration.

    Raises:
        ValueError: if it is a Lambda layer and Keras is not allowed to load code.
    """
    try:
        return type(layer).from_config(config)
    except ValueError as error:
        if not isinstance(layer, keras.layers.Lambda):
            raise
        raise ValueError(
            "A Lambda layer contains code, and Keras copies it only if it is trusted. "
            f"Received: {layer.name}. Call `keras.config.enable_unsafe_deserialization()`."
        ) from error


def copy_of(layer: keras.layers.Layer) -> Replacement:
    """The `Replacement` of a layer by a copy."""
    copy = new_layer(layer, layer.get_config())
    return Replacement(copy, [to_numpy(variable) for variable in layer.variables])


def to_numpy(variable: keras.Variable) -> np.ndarray:
    """The value of a variable."""
    return np.asarray(keras.ops.convert_to_numpy(variable))
