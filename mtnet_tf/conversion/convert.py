"""`to_mtnet`: converts a Keras model to an MT-net, T-net or M-net, or prepares it for MAML."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from mtnet_tf import layers as tw
from mtnet_tf._keras import flatten_layers
from mtnet_tf.conversion.convertible import conversion_problem, pools_blocks
from mtnet_tf.conversion.rebuilding import Replacement, check_rebuildable, copy_of, rebuild

# Arguments that a stock layer and the TW layer that replaces it have in common.
_SHARED = (
    *("name", "trainable", "dtype", "activation", "use_bias", "activity_regularizer"),
    *("units", "filters", "kernel_size", "strides", "padding", "dilation_rate"),
    *("groups", "depth_multiplier", "kernel_initializer", "bias_initializer"),
    *("kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"),
    *("depthwise_initializer", "depthwise_regularizer", "depthwise_constraint"),
)
CELLS: dict[type[keras.layers.Layer], type[tw.TWLayer]] = {
    keras.layers.Dense: tw.TWDense,
    keras.layers.Conv1D: tw.TWConv1D,
    keras.layers.Conv2D: tw.TWConv2D,
    keras.layers.DepthwiseConv2D: tw.TWDepthwiseConv2D,
}
NORMS: dict[type[keras.layers.Layer], type[tw.ExactNormalization]] = {
    keras.layers.BatchNormalization: tw.TaskBatchNormalization,
    keras.layers.LayerNormalization: tw.ExactLayerNormalization,
    keras.layers.GroupNormalization: tw.ExactGroupNormalization,
}
RESIZING: dict[type[keras.layers.Layer], type[keras.layers.Layer]] = {
    keras.layers.Resizing: tw.ExactResizing,
    keras.layers.UpSampling2D: tw.ExactUpSampling2D,
}
_ADAPTABLE = (*CELLS, keras.layers.SeparableConv2D)

LayerFilter = Callable[[keras.layers.Layer], bool]


def to_mtnet(
    model: keras.Model,
    *,
    transform: bool = True,
    mask: str | None = "unit",
    layers: str
    | keras.layers.Layer
    | Sequence[keras.layers.Layer | str]
    | LayerFilter
    | None = None,
    frozen_statistics: bool = False,
    temperature: float = 1.0,
    hard_mask: bool = True,
    transform_initializer: str | keras.initializers.Initializer = "identity",
    mask_initializer: str | keras.initializers.Initializer = "zeros",
    transform_regularizer: str | keras.regularizers.Regularizer | None = None,
    transform_constraint: str | keras.constraints.Constraint | None = None,
    check_outputs: bool = True,
) -> keras.Model:
    """Copies a Keras model and replaces its dense and convolutional layers by TW layers.

    Dense, Conv1D, Conv2D, DepthwiseConv2D and SeparableConv2D become `TWDense`, `TWConv1D`, ...
    with the trained weights, regularizers and constraints. T starts as the identity by default, so
    the outputs are those of `model`. Batch, layer and group normalisation become the exact layers,
    with their parameters and moving statistics. Max pooling over blocks that do not overlap becomes
    `BlockMaxPooling2D`, and resizing and upsampling become exact. All other layers are copied with
    their weights, vocabularies and attributes; they are meta-learned and do not adapt. A layer
    without weights that Keras cannot copy from its configuration, because it holds a table or
    belongs to a file (`TFSMLayer`), is shared with `model`. A layer of a class above that cannot be
    converted, such as a quantised one, is copied, with one warning that names all of them.

    The outputs and time-step masks of the result are compared with those of `model`, in inference,
    on two random examples. Integers are valid for all `Embedding` layers, strings are words of the
    vocabularies, and the end of an example is masked if the model masks. The comparison is left out
    if the model rejects such inputs or if its outputs are random.

    Outside a `MetaLearner` the converted model normalises by the moving statistics, as `model`
    does in inference. Within a task, a batch normalisation uses the statistics of the current set
    of the task. It keeps its moving statistics if `frozen_statistics` is True, or if the stock
    layer has `trainable=False`.

    Example:
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")])
    >>> [type(layer).__name__ for layer in to_mtnet(model, layers=["head"]).layers]
    ['TWDense']

    Args:
        model: built Sequential or functional model. It may contain nested models and models of
            `keras.applications`.
        transform: whether the TW layers have T. False gives an M-net, and MAML if `mask` is None.
        mask: "unit", "weight" or None (T-net).
        layers: the layers that adapt: None for all that can be converted; a list of layers or
            layer names, where a nested model stands for all its layers; or a function from a layer
            to a bool. All other layers keep their class, are meta-learned and do not adapt.
        frozen_statistics: whether batch normalisation uses its moving statistics within tasks.
        temperature: positive, temperature of the mask samples (eq. 11).
        hard_mask: whether masks are 0 or 1, with the gradient of the soft sample.
        transform_initializer: initial value of T.
        mask_initializer: initial value of the mask logits.
        transform_regularizer: regularizer of T, part of the meta-loss.
        transform_constraint: constraint on T after each meta-step.
        check_outputs: whether to compare the outputs, which takes two calls of each model.

    Returns:
        Keras model of the same kind; it shares no weights with `model`.

    Raises:
        ValueError: if the model is not built or is a subclass of `keras.Model`; if a layer that
            `layers` names cannot be converted; or if the outputs differ. The message names the
            first layer whose output differs.
    """
    check_rebuildable(model)
    if isinstance(layers, str | keras.layers.Layer) or not (layers is None or callable(layers)):
        layers = tw.list_layers(layers)
    adapts = _layer_filter(model, layers)
    cell_options = {
        "transform": transform,
        "mask": mask,
        "temperature": temperature,
        "hard_mask": hard_mask,
        "transform_initializer": transform_initializer,
        "mask_initializer": mask_initializer,
        "transform_regularizer": transform_regularizer,
        "transform_constraint": transform_constraint,
    }
    chosen = [] if layers is None or callable(layers) else layers
    named = {id(tw.find_layer(model, layer)) for layer in chosen}
    converted: set[int] = set()
    unchanged: dict[str, str] = {}  # layers and what prevents their conversion

    def replace(layer: keras.layers.Layer) -> Replacement:
        if type(layer) in RESIZING:
            return Replacement(RESIZING[type(layer)].from_config(layer.get_config()), [])
        adapting = type(layer) in _ADAPTABLE and adapts(layer)
        if not adapting and not _has_exact_counterpart(layer):
            return copy_of(layer)
        problem = conversion_problem(layer)
        if problem is None:
            if adapting:
                converted.add(id(layer))
            return _converted(layer, cell_options, frozen_statistics)
        name = f"{type(layer).__name__} ({layer.name})"
        if adapting and id(layer) in named:
            raise ValueError(
                f"This kind of layer cannot be converted to a TW layer. Received: {name}, which "
                f"{problem}. Leave it out of `layers`; it can still adapt if "
                "`MetaLearner(..., adapt_layers=...)` names it."
            )
        unchanged[name] = problem
        return copy_of(layer)

    result = rebuild(model, replace, check_outputs=check_outputs)
    _check_all_converted(model, layers, converted)
    if unchanged:
        listed = "; ".join(f"{name}, which {problem}" for name, problem in unchanged.items())
        warnings.warn(
            f"Layers of {model.name} that cannot be converted stay as they are: {listed}. They do "
            "not adapt, unless `MetaLearner(..., adapt_layers=...)` names them.",
            stacklevel=2,
        )
    return result


def shared_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that a stock layer and its TW layer have in common."""
    return {key: config[key] for key in _SHARED if key in config}


def _has_exact_counterpart(layer: keras.layers.Layer) -> bool:
    """Whether it is a normalisation or pooling layer that we compute exactly."""
    pools = type(layer) is keras.layers.MaxPooling2D and pools_blocks(layer)
    return type(layer) in NORMS or pools


def _converted(
    layer: keras.layers.Layer, cell_options: dict[str, Any], frozen_statistics: bool
) -> Replacement:
    if type(layer) in NORMS:
        return _exact_norm(layer, frozen_statistics)
    if isinstance(layer, keras.layers.MaxPooling2D):
        dtype = layer.get_config()["dtype"]
        pooling = tw.BlockMaxPooling2D(layer.pool_size[0], name=layer.name, dtype=dtype)
        return Replacement(pooling, [])
    return (_cell if type(layer) in CELLS else _separable)(layer, cell_options)


def _cell(layer: keras.layers.Layer, cell_options: dict[str, Any]) -> Replacement:
    config = shared_config(layer.get_config())
    cell = CELLS[type(layer)].from_config({**config, **cell_options})
    return Replacement(cell, layer.get_weights(), [cell])


def _separable(layer: keras.layers.Layer, cell_options: dict[str, Any]) -> Replacement:
    """A separable convolution as two TW layers, the second with T."""
    config = layer.get_config()
    shape = ("strides", "padding", "dilation_rate", "kernel_size", "depth_multiplier")
    kernel = ("depthwise_initializer", "depthwise_regularizer", "depthwise_constraint")
    rest = {k: v for k, v in shared_config(config).items() if k not in (*shape, *kernel)}
    depthwise = tw.TWDepthwiseConv2D.from_config(
        {
            **{key: config[key] for key in (*shape, *kernel, "dtype", "trainable")},
            **cell_options,
            "transform": False,
            "use_bias": False,
            "name": f"{layer.name}_depthwise",
        }
    )
    pointwise = tw.TWConv2D.from_config(
        {
            **rest,
            **cell_options,
            "kernel_size": 1,
            "name": f"{layer.name}_pointwise",
            "kernel_initializer": config["pointwise_initializer"],
            "kernel_regularizer": config["pointwise_regularizer"],
            "kernel_constraint": config["pointwise_constraint"],
        }
    )
    cells = [depthwise, pointwise]
    return Replacement(keras.Sequential(cells, name=layer.name), layer.get_weights(), cells)


def _exact_norm(layer: keras.layers.Layer, frozen_statistics: bool) -> Replacement:
    config = layer.get_config()
    options = {"moving_statistics": True, "frozen": frozen_statistics or not layer.trainable}
    if isinstance(layer, keras.layers.BatchNormalization):
        dropped = ("momentum", "synchronized", "renorm", "renorm_clipping", "renorm_momentum")
        dropped += ("moving_mean_initializer", "moving_variance_initializer")
        config = {k: v for k, v in config.items() if k not in dropped} | options
    return Replacement(NORMS[type(layer)].from_config(config), layer.get_weights())


def _layer_filter(
    model: keras.Model, layers: Iterable[keras.layers.Layer | str] | LayerFilter | None
) -> LayerFilter:
    """The function that decides whether a layer adapts."""
    if layers is None:
        return lambda layer: True
    if callable(layers):
        return layers
    named = [x for layer in layers for x in flatten_layers(tw.find_layer(model, layer))]
    chosen = {id(x) for x in named}
    return lambda layer: id(layer) in chosen


def _check_all_converted(
    model: keras.Model,
    layers: Sequence[keras.layers.Layer | str] | LayerFilter | None,
    converted: set[int],
) -> None:
    """Raises ValueError if a layer that should adapt was not converted."""
    for layer in [] if layers is None or callable(layers) else layers:
        inside = flatten_layers(tw.find_layer(model, layer))
        if not converted & {id(x) for x in inside}:
            raise ValueError(
                f"`layers` must name {', '.join(c.__name__ for c in _ADAPTABLE)} layers. Received: "
                f"{inside[0].name} of class {type(inside[0]).__name__}. Layers of any class adapt "
                "if `MetaLearner(..., adapt_layers=...)` names them."
            )
    has_cells = any(isinstance(x, tw.TWLayer) for x in flatten_layers(model))
    if layers is not None and not converted and not has_cells:
        raise ValueError(
            f"`layers` must select at least one layer of {model.name} that can adapt. "
            f"Received: layers={layers}."
        )
