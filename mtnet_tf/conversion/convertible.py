"""What prevents a layer from being converted to one of ours."""

from typing import Any

import keras


def conversion_problem(layer: keras.layers.Layer) -> str | None:
    """What prevents a layer of a class that can be converted, as the end of "which ..."; or None.

    Args:
        layer: dense, convolutional, normalisation or pooling layer.
    """
    config = layer.get_config()
    quantized = isinstance(layer.dtype_policy, keras.dtype_policies.QuantizedDTypePolicy)
    problems = {
        "uses the channels_first format": config.get("data_format") == "channels_first",
        "is quantised": quantized,
        "has LoRA weights": config.get("lora_rank"),
        "has a depthwise_constraint over channels": _constrains_channels(config),
        "has strides and dilation_rate above 1": _skips_twice(config),
        "uses batch renormalisation": config.get("renorm"),
        "has inputs of unknown height or width": _has_unknown_size(layer),
    }
    return next((problem for problem, found in problems.items() if found), None)


def pools_blocks(layer: keras.layers.MaxPooling2D) -> bool:
    """Whether the pooling windows are squares that do not overlap."""
    square = layer.pool_size == layer.strides and len(set(layer.pool_size)) == 1
    return square and layer.padding == "valid" and layer.data_format == "channels_last"


def _constrains_channels(config: dict[str, Any]) -> bool:
    """Whether a depthwise constraint uses an axis that a TW layer merges: C or multiplier."""
    constraint = keras.constraints.get(config.get("depthwise_constraint"))
    axis = getattr(constraint, "axis", 0)
    return not set(axis if isinstance(axis, list | tuple) else [axis]) <= {0, 1}


def _skips_twice(config: dict[str, Any]) -> bool:
    """Whether the layer has strides and a dilation rate, as Keras allows for depthwise kernels."""
    sizes = (config.get("strides") or 1, config.get("dilation_rate") or 1)
    return all(max(size) > 1 if isinstance(size, list | tuple) else size > 1 for size in sizes)


def _has_unknown_size(layer: keras.layers.Layer) -> bool:
    """Whether blocks cannot be pooled, because their number is unknown."""
    inputs: Any = layer.input if isinstance(layer, keras.layers.MaxPooling2D) else None
    return inputs is not None and None in inputs.shape[1:3]
