"""Two layers under their names in version 0.1.0, so that files of that version can be loaded.

These classes are only used for layers that Keras reads from such a file. An alias of the new class
would not work: in a `.keras` file, the weights of a layer are stored under a name derived from its
class, so a class with the old name is needed to find them.
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
