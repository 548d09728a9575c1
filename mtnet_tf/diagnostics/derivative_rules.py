"""Which stock layers and TensorFlow operations have wrong derivatives, and what to use instead.

`docs/second_derivatives.md` contains the measurements; a slow test repeats them.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

_CONVERSION = "; `mtnet_tf.to_mtnet(model)` replaces it, except inside other layers"
_BEFORE = "Augment the images before the episode is created, or as the first layer of the model"


class Rule(NamedTuple):
    """Why a layer is not exact.

    Attributes:
        replacement: what to use instead, as a sentence without its full stop.
        applies: whether a layer of the class has options with which it is wrong.
        first_order: whether its first derivative is wrong, too.
        converted: whether `to_mtnet` replaces the layer by it.
    """

    replacement: str
    applies: Callable[[keras.layers.Layer], bool] = lambda layer: True
    first_order: bool = False
    converted: bool = False

    @property
    def alternative(self) -> str:
        """The replacement, and how to obtain it."""
        return self.replacement + (_CONVERSION if self.converted else "")


def _interpolates(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "interpolation", None) != "nearest"


def _overlaps_fully(layer: keras.layers.Layer) -> bool:
    """Whether windows are moved by one place and the shape stays the same."""
    config = layer.get_config()
    return set(config["strides"]) == {1} and config["padding"] == "same"


_AUGMENTATION = Rule(_BEFORE, first_order=True)
# Options and layers of `keras.layers` that are not exact. Subclasses have the same fault.
LAYER_RULES: dict[str, Rule] = {
    "BatchNormalization": Rule("Use TaskBatchNormalization", converted=True),
    "LayerNormalization": Rule("Use ExactLayerNormalization", converted=True),
    "GroupNormalization": Rule("Use ExactGroupNormalization", converted=True),
    "Resizing": Rule("Use ExactResizing", converted=True),
    "UpSampling2D": Rule("Use ExactUpSampling2D", _interpolates, converted=True),
    "MaxPooling3D": Rule(
        "Use other strides, or padding='valid' after a ZeroPadding3D", _overlaps_fully
    ),
    "SpectralNormalization": Rule(
        "Use a layer without it; kernel_constraint=keras.constraints.UnitNorm() also bounds the "
        "kernel, after each meta-step",
        first_order=True,
    ),
    "RandomCrop": Rule(_BEFORE),
    **dict.fromkeys(
        (
            *("AugMix", "RandAugment", "RandomColorJitter", "RandomHue", "RandomPerspective"),
            *("RandomRotation", "RandomSaturation", "RandomShear", "RandomTranslation"),
            "RandomZoom",
        ),
        _AUGMENTATION,
    ),
}
_RESIZE = "Use ExactResizing or ExactUpSampling2D, which compute matrix products"
# TensorFlow operations that are not exact, for layers and functions of the user.
OPERATION_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            *("ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor", "ResizeArea"),
            "ScaleAndTranslate",
        ),
        Rule(_RESIZE),
    ),
    **dict.fromkeys(
        ("ImageProjectiveTransformV2", "ImageProjectiveTransformV3"),
        Rule("Interpolate with `keras.ops.image.map_coordinates`", first_order=True),
    ),
    "Softsign": Rule("Write it as `x / (1 + abs(x))`"),
}


_MOMENTS = Rule("Write the variance as `mean(square(x - mean(x)))`")


def rule_of(layer: keras.layers.Layer) -> Rule | None:
    """The rule that a layer breaks; None if it is exact, as far as is known.

    Args:
        layer: layer of any class. The layers of this package are exact.
    """
    if type(layer).__module__.startswith("mtnet_tf."):
        return None
    for kind in type(layer).__mro__:
        rule = LAYER_RULES.get(kind.__name__)
        if rule and getattr(keras.layers, kind.__name__, None) is kind and rule.applies(layer):
            # `to_mtnet` copies a layer of a subclass, because it may compute anything.
            return rule if kind is type(layer) else rule._replace(converted=False)
    return None


def operation_rule(operation: tf.Operation) -> Rule | None:
    """The rule that a TensorFlow operation breaks; None if it is exact, as far as is known."""
    if operation.type == "StopGradient" and operation.name.endswith("moments/StopGradient"):
        return _MOMENTS
    return OPERATION_RULES.get(operation.type)
