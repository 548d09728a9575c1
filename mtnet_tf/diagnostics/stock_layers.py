"""Stock normalisation, which no meta-gradient may go through."""

import keras

from mtnet_tf._keras import flatten_layers

_WRONG_TO_SECOND_ORDER = (keras.layers.LayerNormalization, keras.layers.GroupNormalization)


def check_stock_layers(model, first_order):
    """Raises ValueError if a model holds normalisation that can't be meta-learned through.

    Args:
      model: Keras model.
      first_order: whether second derivatives are left out anyway.
    """
    for layer in flatten_layers(model):
        mixes_tasks = isinstance(layer, keras.layers.BatchNormalization)
        if mixes_tasks or (isinstance(layer, _WRONG_TO_SECOND_ORDER) and not first_order):
            raise ValueError(
                f"`model` must not hold {type(layer).__name__} ({layer.name}): TensorFlow's second "
                "derivative of it is wrong, or it mixes tasks. `mtnet_tf.to_mtnet(model)` puts "
                "TaskBatchNormalization, ExactLayerNormalization or ExactGroupNormalization "
                "in its place."
            )
