"""Keras layers: the cells of the paper, their mask logits, and exact normalisation and pooling."""

from mtnet_tf.layers.block_max_pooling2d import BlockMaxPooling2D
from mtnet_tf.layers.exact_group_normalization import ExactGroupNormalization
from mtnet_tf.layers.exact_layer_normalization import ExactLayerNormalization
from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.fast_weights import SetStatistics, fast_weights
from mtnet_tf.layers.mask_logits import MaskLogits
from mtnet_tf.layers.task_batch_normalization import TaskBatchNormalization
from mtnet_tf.layers.task_weights import find_layer, find_task_weights
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
    "MaskLogits",
    "SetStatistics",
    "TWConv1D",
    "TWConv2D",
    "TWDense",
    "TWDepthwiseConv2D",
    "TWLayer",
    "TaskBatchNormalization",
    "TaskWeight",
    "fast_weights",
    "find_layer",
    "find_task_weights",
]
