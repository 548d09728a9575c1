"""Keras layers: the cells of the paper, their masks, exact normalisation and pooling.

Contains what happens inside a model: `TWDense` and the `TWConv` family, mask logits and mask
functions, the fast-weight scope, and the choice of the weights that a task adapts.

May import: `seeds`, `_keras`.
"""

from mtnet_tf.layers import renamed as renamed  # registers the classes with Keras
from mtnet_tf.layers.block_max_pooling2d import BlockMaxPooling2D
from mtnet_tf.layers.exact_group_normalization import ExactGroupNormalization
from mtnet_tf.layers.exact_layer_normalization import ExactLayerNormalization
from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.exact_resizing import ExactResizing, ExactUpSampling2D
from mtnet_tf.layers.fast_weights import FastWeightScope, SetStatistics, SharedWeight, of_tasks
from mtnet_tf.layers.input_specs import input_specs
from mtnet_tf.layers.integers import as_float, is_integer, validate_integer, validate_positive
from mtnet_tf.layers.mask_logits import MaskLogits
from mtnet_tf.layers.observed_calls import observed_calls
from mtnet_tf.layers.task_batch_normalization import TaskBatchNormalization
from mtnet_tf.layers.task_weights import find_layer, find_task_weights, list_layers, not_built
from mtnet_tf.layers.tw_conv1d import TWConv1D
from mtnet_tf.layers.tw_conv2d import TWConv2D
from mtnet_tf.layers.tw_dense import TWDense
from mtnet_tf.layers.tw_depthwise_conv2d import TWDepthwiseConv2D
from mtnet_tf.layers.tw_layer import TaskWeight, TWLayer

__all__ = [
    "BlockMaxPooling2D",
    "ExactGroupNormalization",
    "ExactLayerNormalization",
    "ExactNormalization",
    "ExactResizing",
    "ExactUpSampling2D",
    "FastWeightScope",
    "MaskLogits",
    "SetStatistics",
    "SharedWeight",
    "TWConv1D",
    "TWConv2D",
    "TWDense",
    "TWDepthwiseConv2D",
    "TWLayer",
    "TaskBatchNormalization",
    "TaskWeight",
    "as_float",
    "find_layer",
    "find_task_weights",
    "input_specs",
    "is_integer",
    "list_layers",
    "not_built",
    "observed_calls",
    "of_tasks",
    "validate_integer",
    "validate_positive",
]
