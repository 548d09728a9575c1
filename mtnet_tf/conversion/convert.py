"""`to_mtnet`: any Keras model as an MT-net, T-net, M-net or MAML learner."""

import keras

from mtnet_tf import layers as tw
from mtnet_tf._keras import flatten_layers
from mtnet_tf.conversion.rebuilding import Replacement, copy_of, rebuild
from mtnet_tf.layers import find_layer

# What a stock layer and the cell that takes its place call by the same name.
_SHARED = (
    *("name", "trainable", "dtype", "activation", "use_bias", "activity_regularizer"),
    *("units", "filters", "kernel_size", "strides", "padding", "dilation_rate"),
    *("depth_multiplier", "kernel_initializer", "bias_initializer"),
    *("kernel_regularizer", "bias_regularizer"),
)
CELLS = {
    keras.layers.Dense: tw.TWDense,
    keras.layers.Conv1D: tw.TWConv1D,
    keras.layers.Conv2D: tw.TWConv2D,
    keras.layers.DepthwiseConv2D: tw.TWDepthwiseConv2D,
}
NORMS = {
    keras.layers.BatchNormalization: tw.TaskBatchNormalization,
    keras.layers.LayerNormalization: tw.ExactLayerNormalization,
    keras.layers.GroupNormalization: tw.ExactGroupNormalization,
}
_ADAPTABLE = (*CELLS, keras.layers.SeparableConv2D)


def to_mtnet(
    model, *, transform=True, mask="unit", layers=None, frozen_statistics=False, **cell_options
):
    """A copy of a Keras model whose dense and convolutional layers are MT-net cells.

    Dense, Conv1D, Conv2D, DepthwiseConv2D and SeparableConv2D become `TWDense`, `TWConv1D`, ...
    with the trained weights; T starts as the identity, so the outputs are those of `model`. Batch,
    layer and group normalisation become exact ones with their parameters and moving statistics.
    Max pooling over whole blocks becomes `BlockMaxPooling2D`. Everything else, with its weights,
    stays as it is: meta-learned, not adapted.

    Called by itself, the converted model normalises by the moving statistics, as `model` does in
    inference. Within the tasks of a `MetaLearner`, a batch normalisation uses the statistics of
    the task's own set, unless its statistics are frozen, as those of a stock layer with
    `trainable=False` are.

    Example:
    >>> backbone = keras.applications.MobileNetV2((96, 96, 3), weights=None, classes=5)
    >>> learner = MetaLearner(to_mtnet(backbone, layers=["predictions"]), step_size=0.1)

    Args:
      model: built Sequential or functional model, nested ones and `keras.applications` included.
      transform: False leaves T out (M-net; MAML if `mask` is None too).
      mask: "unit", "weight" or None (T-net).
      layers: which layers adapt: None for all that can; else a list of layers or of their names,
        a nested model standing for all its layers, or a function from a layer to a bool. The
        others keep their class, are meta-learned and do not adapt.
      frozen_statistics: batch normalisation keeps to its moving statistics within tasks too.
      **cell_options: further arguments of the cells (`temperature`, `hard_mask`, ...).

    Returns:
      Keras model of the same kind, with weights of its own.

    Raises:
      ValueError: if the model is not built, is a subclass that can't be rebuilt, or has a layer
        that can't be converted.
    """
    adapts = _selector(model, layers)
    cell_options = {"transform": transform, "mask": mask, **cell_options}
    converted = set()

    def replace(layer):
        kind = type(layer)
        if kind in NORMS:
            return _exact_norm(layer, frozen_statistics)
        if kind is keras.layers.MaxPooling2D and _pools_blocks(layer):
            config = layer.get_config()
            return Replacement(
                tw.BlockMaxPooling2D(layer.pool_size[0], name=layer.name, dtype=config["dtype"]), []
            )
        if kind in _ADAPTABLE and adapts(layer):
            converted.add(id(layer))
            _check_convertible(layer)
            return (_separable if kind not in CELLS else _cell)(layer, cell_options)
        return copy_of(layer)

    result = rebuild(model, replace)
    _check_all_converted(model, layers, adapts, converted)
    return result


def shared_config(config):
    """The arguments that a stock layer and its cell call by the same name."""
    return {key: config[key] for key in _SHARED if key in config}


def _cell(layer, cell_options):
    config = layer.get_config()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        config["kernel_initializer"] = config["depthwise_initializer"]
        config["kernel_regularizer"] = config["depthwise_regularizer"]
    cell = CELLS[type(layer)].from_config({**shared_config(config), **cell_options})
    return Replacement(cell, layer.get_weights(), [cell])


def _separable(layer, cell_options):
    """A separable convolution as two cells, one T after both."""
    config = layer.get_config()
    shape = ("strides", "padding", "dilation_rate", "kernel_size", "depth_multiplier")
    rest = {k: v for k, v in shared_config(config).items() if k not in shape}
    depthwise = tw.TWDepthwiseConv2D.from_config(
        {
            **{key: config[key] for key in (*shape, "dtype", "trainable")},
            **cell_options,
            "transform": False,
            "use_bias": False,
            "name": f"{layer.name}_depthwise",
            "kernel_initializer": config["depthwise_initializer"],
            "kernel_regularizer": config["depthwise_regularizer"],
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
        }
    )
    cells = [depthwise, pointwise]
    return Replacement(keras.Sequential(cells, name=layer.name), layer.get_weights(), cells)


def _exact_norm(layer, frozen_statistics):
    config = layer.get_config()
    options = {"moving_statistics": True, "frozen": frozen_statistics or not layer.trainable}
    if isinstance(layer, keras.layers.BatchNormalization):
        if layer.renorm:
            raise ValueError(
                "BatchNormalization must not renormalise, which has no exact counterpart. "
                f"Received: {layer.name} with renorm=True; create it with renorm=False."
            )
        dropped = ("momentum", "synchronized", "renorm", "renorm_clipping", "renorm_momentum")
        dropped += ("moving_mean_initializer", "moving_variance_initializer")
        config = {k: v for k, v in config.items() if k not in dropped} | options
    return Replacement(NORMS[type(layer)].from_config(config), layer.get_weights())


def _pools_blocks(layer):
    square = layer.pool_size == layer.strides and len(set(layer.pool_size)) == 1
    return square and layer.padding == "valid" and layer.data_format == "channels_last"


def _check_convertible(layer):
    config = layer.get_config()
    quantized = isinstance(layer.dtype_policy, keras.dtype_policies.QuantizedDTypePolicy)
    constraints = [k for k in config if k.endswith("_constraint") and config[k] is not None]
    problems = {
        "convolves groups of channels": config.get("groups", 1) > 1,
        "has its channels first": config.get("data_format") == "channels_first",
        "is quantised": quantized,
        "carries LoRA weights": config.get("lora_rank"),
        f"has a {' and a '.join(constraints)}": constraints,
    }
    for problem, found in problems.items():
        if found:
            raise ValueError(
                "A layer must be a plain one to become a cell. "
                f"Received: {type(layer).__name__} ({layer.name}), which {problem}; leave it out "
                "of `layers`, and name it in `MetaLearner(..., adapt_layers=...)` if it should "
                "adapt all the same."
            )


def _selector(model, layers):
    """Function: does this layer adapt?"""
    if layers is None:
        return lambda layer: True
    if callable(layers):
        return layers
    named = [x for layer in layers for x in flatten_layers(find_layer(model, layer))]
    chosen = {id(x) for x in named}
    return lambda layer: id(layer) in chosen


def _check_all_converted(model, layers, adapts, converted):
    """Raises ValueError if a layer that should adapt has not become a cell."""
    for layer in [] if layers is None or callable(layers) else layers:
        inside = flatten_layers(find_layer(model, layer))
        if not converted & {id(x) for x in inside}:
            raise ValueError(
                f"`layers` must name {', '.join(c.__name__ for c in _ADAPTABLE)} layers. Received: "
                f"{inside[0].name} of class {type(inside[0]).__name__}; layers of any class adapt "
                "with `MetaLearner(..., adapt_layers=...)`."
            )
    has_cells = any(isinstance(x, tw.TWLayer) for x in flatten_layers(model))
    if layers is not None and not converted and not has_cells:
        raise ValueError(
            f"`layers` must choose at least one layer of {model.name} that can adapt. "
            f"Received: layers={layers}."
        )
