"""Layers as version 0.1.0 called them: only files that it saved create these.

An alias of the class would not do. In a `.keras` file, Keras names the weights of a layer after
its class, so that a loaded layer finds its own under the name of the class that was saved.
"""

import keras

from mtnet_tf.layers.exact_group_normalization import ExactGroupNormalization
from mtnet_tf.layers.exact_layer_normalization import ExactLayerNormalization


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExampleGroupNormalization(ExactGroupNormalization):
    """`ExactGroupNormalization` of a file saved by version 0.1.0."""


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExampleLayerNormalization(ExactLayerNormalization):
    """`ExactLayerNormalization` of a file saved by version 0.1.0."""
