"""Which variables of a model the inner loop adapts."""

from collections.abc import Iterable, Sequence

import keras

from mtnet_tf._keras import flatten_layers
from mtnet_tf.layers.tw_layer import TaskWeight, TWLayer


def find_task_weights(
    model: keras.Model,
    layers: str | keras.layers.Layer | Sequence[str | keras.layers.Layer] | None = None,
) -> list[TaskWeight]:
    """The task weights of a model, including those of nested models.

    Args:
        model: Keras model.
        layers: None for W and b of every trainable TW layer; or a list of layers or layer names.
            Then only these layers adapt: W and b of a TW layer, and all trainable weights of any
            other layer, without masks.

    Returns:
        List of `TaskWeight`.

    Raises:
        ValueError: if there is no such weight or layer, or if the model is not built.
    """
    check_built(model)
    if layers is not None:
        layers = list_layers(layers)
        found = [w for layer in layers for w in _weights_of(find_layer(model, layer))]
        unique = {id(weight.variable): weight for weight in found}
        if unique:
            return list(unique.values())
        raise ValueError(
            f"The layers to adapt must have trainable weights. Received: {list(layers)}."
        )
    cells = [x for x in flatten_layers(model) if isinstance(x, TWLayer) and x.trainable]
    if cells and not any(cell.built for cell in cells):  # `build` of a subclass may build nothing
        raise not_built(model)
    task_weights = [weight for cell in cells if cell.built for weight in cell.task_weights()]
    if not task_weights:
        raise ValueError(
            "The model must contain at least one built, trainable TW layer (such as TWDense or "
            "TWConv2D), because the inner loop adapts the weights of these layers. "
            f"Received: {model.name}. Build it from them, convert it with `to_mtnet`, or name the "
            "layers to adapt."
        )
    return task_weights


def list_layers(
    layers: str | keras.layers.Layer | Iterable[str | keras.layers.Layer],
) -> list[str | keras.layers.Layer]:
    """A list of layers or layer names; a single one is a list of one."""
    return [layers] if isinstance(layers, str | keras.layers.Layer) else list(layers)


def check_built(model: keras.Model) -> None:
    """Raises ValueError if a model has no weights yet."""
    if not model.built:
        raise not_built(model)


def not_built(model: keras.Model) -> ValueError:
    """The error for a model that has no weights yet."""
    return ValueError(
        f"`model` must be built. Received: {model.name}, which has no weights yet. Call it on "
        "data once, or start it with `keras.Input`."
    )


def find_layer(model: keras.Model, layer: str | keras.layers.Layer) -> keras.layers.Layer:
    """The layer of a model that is `layer`, or has this name.

    Args:
        model: Keras model. Layers of nested models are found, too.
        layer: a layer of the model, or its name.

    Returns:
        The layer.

    Raises:
        ValueError: if there is none, or more than one.
    """
    inside = flatten_layers(model, include_self=False)
    found = [x for x in inside if x is layer or x.name == layer]
    if len(found) != 1:
        names = ", ".join(dict.fromkeys(x.name for x in inside if x.weights))
        problem = "more than one layer has this name" if found else f"its layers are {names}"
        received = layer if isinstance(layer, str) else f"{type(layer).__name__} ({layer.name})"
        raise ValueError(
            f"The layer must belong to the model {model.name}. Received: {received}; {problem}."
        )
    return found[0]


def _weights_of(layer: keras.layers.Layer) -> list[TaskWeight]:
    cells = [x for x in flatten_layers(layer) if isinstance(x, TWLayer) and x.trainable]
    in_cells = {id(variable) for cell in cells for variable in cell.variables}
    others = [v for v in layer.trainable_variables if id(v) not in in_cells]
    weights = [weight for cell in cells for weight in cell.task_weights()]
    return weights + [TaskWeight(v, None, flattened=False) for v in others]
