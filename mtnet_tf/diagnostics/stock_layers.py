"""Rejects stock normalisation layers, which give wrong meta-gradients."""

import keras

from mtnet_tf._keras import flatten_layers

_WRONG_TO_SECOND_ORDER = (keras.layers.LayerNormalization, keras.layers.GroupNormalization)


def check_stock_layers(model: keras.Model, first_order: bool) -> None:
    """Raises ValueError if a model contains normalisation with wrong meta-gradients.

    Args:
        model: Keras model.
        first_order: whether second derivatives are left out. Layer and group normalisation are
            then allowed, since only their second derivatives are wrong.
    """
    for layer in flatten_layers(model):
        mixes_tasks = isinstance(layer, keras.layers.BatchNormalization)
        if mixes_tasks or (isinstance(layer, _WRONG_TO_SECOND_ORDER) and not first_order):
            raise ValueError(
                f"`model` must not contain {type(layer).__name__}. Received: {layer.name}, whose "
                "second derivative in TensorFlow is wrong or which mixes tasks. "
                "`mtnet_tf.to_mtnet(model)` replaces it by TaskBatchNormalization, "
                "ExactLayerNormalization or ExactGroupNormalization."
            )
