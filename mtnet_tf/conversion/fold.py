"""`fold`: a stock Keras model that computes what a model of ours computes."""

import keras
import numpy as np

from mtnet_tf import layers as tw
from mtnet_tf._keras import flatten_layers
from mtnet_tf.conversion.convert import CELLS, NORMS, shared_config
from mtnet_tf.conversion.rebuilding import Replacement, copy_of, rebuild

_STOCK_CELLS = {ours: stock for stock, ours in CELLS.items()}
_STOCK_NORMS = {ours: stock for stock, ours in NORMS.items()}


def fold(model):
    """A stock Keras model with the outputs of `model`, T merged into W and b.

    `(x W + b) T = x (W T) + b T`: a `TWDense` becomes a Dense with kernel W T and bias b T, and
    so on; a `TWDepthwiseConv2D` whose T mixes channels becomes a SeparableConv2D. Nothing of this
    package is left, so any converter takes the result; nothing is computed that a model without T
    would not compute.

    Args:
      model: built Sequential or functional model, such as an adapted one.

    Returns:
      Keras model with weights of its own.

    Raises:
      ValueError: if a layer normalises by the statistics of the batch at hand, which no stock
        layer does in inference; or if a layer has no stock counterpart.
    """
    folded = rebuild(model, _stock)
    for layer in flatten_layers(folded):
        if type(layer).__module__.startswith("mtnet_tf"):
            raise ValueError(
                "Every layer must have a stock counterpart. Received: "
                f"{layer.name} of class {type(layer).__name__}; leave it out, or take it out of "
                "the layer that holds it."
            )
    return folded


def _stock(layer):
    if isinstance(layer, tw.TWDepthwiseConv2D):
        return _stock_depthwise(layer)
    if type(layer) in _STOCK_CELLS:
        config = shared_config(layer.get_config())
        return Replacement(_STOCK_CELLS[type(layer)].from_config(config), _merged(layer))
    if type(layer) in _STOCK_NORMS:
        return _stock_norm(layer)
    if isinstance(layer, tw.BlockMaxPooling2D):
        options = {"name": layer.name, "dtype": layer.dtype_policy}
        return Replacement(keras.layers.MaxPooling2D(layer.pool_size, **options), [])
    return copy_of(layer)


def _merged(layer):
    """W T and b T."""
    weights = [_float64(w.variable) for w in layer.task_weights()]
    return weights if layer.transform is None else [w @ _float64(layer.transform) for w in weights]


def _stock_depthwise(layer):
    """A depthwise convolution, and T as the pointwise half of a separable one."""
    config = shared_config(layer.get_config())
    depthwise = {
        "depthwise_initializer": config.pop("kernel_initializer"),
        "depthwise_regularizer": config.pop("kernel_regularizer"),
    }
    transform = None if layer.transform is None else _float64(layer.transform)
    kernel, *bias = [_float64(w.variable) for w in layer.task_weights()]
    if transform is None or np.array_equal(transform, np.eye(layer.units)):
        stock = keras.layers.DepthwiseConv2D.from_config({**config, **depthwise})
        return Replacement(stock, [kernel, *bias])
    stock = keras.layers.SeparableConv2D.from_config(
        {**config, **depthwise, "filters": layer.units}
    )
    return Replacement(stock, [kernel, transform, *(b @ transform for b in bias)])


def _stock_norm(layer):
    config = layer.get_config()
    if isinstance(layer, tw.ExactLayerNormalization) and layer.axis is None:
        config = {k: v for k, v in config.items() if k not in ("axis", "rms_scaling")}
        return Replacement(
            keras.layers.GroupNormalization.from_config({**config, "groups": 1}),
            layer.get_weights(),
        )
    if isinstance(layer, tw.TaskBatchNormalization):
        if layer.moving_mean is None:
            raise ValueError(
                "A TaskBatchNormalization must have fixed statistics to become a stock layer. "
                f"Received: {layer.name}, which uses those of the batch at hand; adapt with the "
                "statistics of the support set, or create it with frozen=True."
            )
        config = {k: v for k, v in config.items() if k not in ("frozen", "moving_statistics")}
    return Replacement(_STOCK_NORMS[type(layer)].from_config(config), layer.get_weights())


def _float64(variable):
    return keras.ops.convert_to_numpy(variable).astype("float64")
