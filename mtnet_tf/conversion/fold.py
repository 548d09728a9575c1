"""`fold`: a stock Keras model with the outputs of a model that contains TW layers."""

import keras
import numpy as np

from mtnet_tf import layers as tw
from mtnet_tf._keras import flatten_layers
from mtnet_tf.conversion.convert import CELLS, NORMS, RESIZING, shared_config
from mtnet_tf.conversion.rebuilding import Replacement, copy_of, rebuild, to_numpy

_STOCK_CELLS = {ours: stock for stock, ours in CELLS.items()}
_STOCK_NORMS = {ours: stock for stock, ours in NORMS.items()}
_STOCK_RESIZING = {ours: stock for stock, ours in RESIZING.items()}


def fold(model: keras.Model, *, check_outputs: bool = True) -> keras.Model:
    """Replaces TW layers by stock Keras layers with T merged into W and b.

    `(x @ W + b) @ T = x @ (W @ T) + b @ T`, so a `TWDense` becomes a `Dense` with kernel `W @ T`
    and bias `b @ T`, and a `TWConv2D` a `Conv2D`. A `TWDepthwiseConv2D` whose T mixes channels
    becomes a `SeparableConv2D`, and a grouped convolution whose T mixes groups becomes a
    `Sequential` of a grouped convolution and a pointwise one. Exact normalisation and
    resizing layers and `BlockMaxPooling2D` become their stock counterparts; all other layers are
    copied, as by `to_mtnet`. The result contains no layers of this package, so it can be exported
    to TensorFlow Lite or ONNX. T costs nothing, except where it mixes channels or groups.

    Example:
    >>> model = keras.Sequential([keras.Input((4,)), tw.TWDense(2)])
    >>> [type(layer).__name__ for layer in fold(model).layers]
    ['Dense']

    Args:
        model: built Sequential or functional model, for example an adapted one.
        check_outputs: whether to compare the outputs on random inputs, as `to_mtnet` does.

    Returns:
        Keras model of the same kind; it shares no weights with `model`.

    Raises:
        ValueError: if a layer normalises by the statistics of the current batch, which no stock
            layer does in inference; if a layer has no stock counterpart; or if the outputs differ.
    """
    folded = rebuild(model, _stock, check_outputs=check_outputs)
    for layer in flatten_layers(folded):
        if type(layer).__module__.startswith("mtnet_tf"):
            raise ValueError(
                "Every layer must have a stock counterpart. Received: "
                f"{layer.name} of class {type(layer).__name__}. Remove it from the model, or "
                "move it out of the layer that contains it."
            )
    return folded


def _stock(layer: keras.layers.Layer) -> Replacement:
    if isinstance(layer, tw.TWDepthwiseConv2D):
        return _stock_depthwise(layer)
    if isinstance(layer, tw.TWConv1D | tw.TWConv2D) and _mixes_groups(layer):
        return _stock_groups(layer)
    if isinstance(layer, tw.TWLayer) and type(layer) in _STOCK_CELLS:
        config = shared_config(layer.get_config())
        return Replacement(_STOCK_CELLS[type(layer)].from_config(config), _merged(layer))
    if type(layer) in _STOCK_NORMS:
        return _stock_norm(layer)
    if type(layer) in _STOCK_RESIZING:
        return Replacement(_STOCK_RESIZING[type(layer)].from_config(layer.get_config()), [])
    if isinstance(layer, tw.BlockMaxPooling2D):
        return Replacement(
            keras.layers.MaxPooling2D(layer.pool_size, name=layer.name, dtype=layer.dtype_policy),
            [],
        )
    return copy_of(layer)


def _merged(layer: tw.TWLayer) -> list[np.ndarray]:
    """`W @ T` and `b @ T`, computed in float64."""
    weights = [_float64(weight.variable) for weight in layer.task_weights()]
    if _is_identity(layer):
        return weights
    transform = _float64(layer.transform)
    return [weight @ transform for weight in weights]


def _is_identity(layer: tw.TWLayer) -> bool:
    """Whether T changes nothing."""
    transform = layer.transform
    return transform is None or np.array_equal(_float64(transform), np.eye(layer.units))


def _stock_depthwise(layer: tw.TWDepthwiseConv2D) -> Replacement:
    """A depthwise convolution; with T, the pointwise half of a separable convolution."""
    config = shared_config(layer.get_config())
    kernel, *bias = [_float64(weight.variable) for weight in layer.task_weights()]
    if _is_identity(layer):
        return Replacement(keras.layers.DepthwiseConv2D.from_config(config), [kernel, *bias])
    transform = _float64(layer.transform)
    stock = keras.layers.SeparableConv2D.from_config({**config, "filters": layer.units})
    return Replacement(stock, [kernel, transform, *(b @ transform for b in bias)])


def _mixes_groups(layer: tw.TWConv1D | tw.TWConv2D) -> bool:
    """Whether T has weights between the units of different groups."""
    if layer.transform is None:
        return False
    group = np.arange(layer.units) * layer.groups // layer.units
    return bool(np.any(_float64(layer.transform)[group[:, None] != group]))


def _stock_groups(layer: tw.TWConv1D | tw.TWConv2D) -> Replacement:
    """A grouped convolution, and a pointwise convolution by T with the bias."""
    config = shared_config(layer.get_config())
    after = ("use_bias", "activation", "activity_regularizer")
    after += ("bias_initializer", "bias_regularizer", "bias_constraint")
    common = {key: config[key] for key in ("filters", "dtype", "trainable")}
    convolution = _STOCK_CELLS[type(layer)]
    grouped = convolution.from_config(
        {k: v for k, v in config.items() if k not in after}
        | {"use_bias": False, "name": f"{layer.name}_groups"}
    )
    pointwise = convolution.from_config(
        {**common, **{key: config[key] for key in after}}
        | {"kernel_size": 1, "name": f"{layer.name}_pointwise"}
    )
    kernel, *bias = [_float64(weight.variable) for weight in layer.task_weights()]
    transform = _float64(layer.transform)
    values = [kernel, transform, *(b @ transform for b in bias)]
    return Replacement(keras.Sequential([grouped, pointwise], name=layer.name), values)


def _stock_norm(layer: keras.layers.Layer) -> Replacement:
    config = layer.get_config()
    if isinstance(layer, tw.ExactLayerNormalization) and layer.axis is None:
        config = {k: v for k, v in config.items() if k not in ("axis", "rms_scaling")}
        stock = keras.layers.GroupNormalization.from_config({**config, "groups": 1})
        return Replacement(stock, layer.get_weights())
    if isinstance(layer, tw.TaskBatchNormalization):
        if layer.moving_mean is None:
            raise ValueError(
                "A TaskBatchNormalization must have fixed statistics to become a stock layer. "
                f"Received: {layer.name}, which uses the statistics of the current batch. Adapt "
                "with statistics='support', or create the layer with frozen=True."
            )
        config = {k: v for k, v in config.items() if k not in ("frozen", "moving_statistics")}
    return Replacement(_STOCK_NORMS[type(layer)].from_config(config), layer.get_weights())


def _float64(variable: keras.Variable) -> np.ndarray:
    return to_numpy(variable).astype("float64")
