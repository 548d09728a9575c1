"""A copy of a Keras model with other layers in place of its own."""

from typing import NamedTuple

import keras

from mtnet_tf._keras import Functional, flatten_layers


class Replacement(NamedTuple):
    """What takes the place of a layer.

    Attributes:
      layer: the new layer.
      values: arrays for its first variables once it is built, in their order.
      cells: the parts of `layer` whose task weights get `values`; None: its variables do.
    """

    layer: keras.layers.Layer
    values: list
    cells: list | None = None

    def targets(self):
        """The variables that get `values`."""
        if self.cells is None:
            return self.layer.variables
        return [weight.variable for cell in self.cells for weight in cell.task_weights()]


def rebuild(model, replace):
    """A copy of a model with other layers in place of its own.

    Args:
      model: built Sequential or functional model.
      replace: function from a layer to its `Replacement`, called once for each layer that is no
        Sequential or functional model itself.

    Returns:
      Keras model of the same kind.

    Raises:
      ValueError: if the model is not built, or is a subclass that can't be rebuilt.
    """
    check_rebuildable(model)
    replacements = []

    def clone(layer):
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


def finalize_statistics(model):
    """Lets every `keras.layers.Normalization` compute with the statistics assigned to it.

    It takes them from its variables in `adapt` and in `load_weights` only.
    """
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def check_rebuildable(model):
    """Raises ValueError if the model is not built, or is a subclass that can't be rebuilt."""
    if not isinstance(model, keras.Sequential | Functional):
        raise ValueError(
            "`model` must be a Sequential or functional Keras model. "
            f"Received: {model.name} of class {type(model).__name__}. Write it as "
            "`keras.Model(inputs, outputs)`, or build it from TWDense and TWConv2D layers."
        )
    if not model.built:
        raise ValueError(
            f"`model` must be built. Received: {model.name} without weights; call it on data once, "
            "or begin it with `keras.Input`."
        )


def new_layer(layer, config):
    """A layer of the same class from a configuration.

    Raises:
      ValueError: for a Lambda layer that Keras refuses to copy.
    """
    try:
        return type(layer).from_config(config)
    except ValueError as error:
        if not isinstance(layer, keras.layers.Lambda):
            raise
        raise ValueError(
            "A Lambda layer must be trusted to be copied, since it holds code: call "
            f"`keras.config.enable_unsafe_deserialization()`. Received: {layer.name}."
        ) from error


def copy_of(layer):
    """The `Replacement` of a layer by one like it."""
    copy = new_layer(layer, layer.get_config())
    return Replacement(copy, [keras.ops.convert_to_numpy(v) for v in layer.variables])
