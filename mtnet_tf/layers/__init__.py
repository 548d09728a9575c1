"""Keras layers: the cells of the paper, their mask logits, and exact normalisation and pooling."""

from mtnet_tf.layers.block_max_pooling2d import BlockMaxPooling2D
from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.example_group_normalization import ExampleGroupNormalization
from mtnet_tf.layers.example_layer_normalization import ExampleLayerNormalization
from mtnet_tf.layers.mask_logits import MaskLogits
from mtnet_tf.layers.task_batch_normalization import TaskBatchNormalization
from mtnet_tf.layers.tw_conv1d import TWConv1D
from mtnet_tf.layers.tw_conv2d import TWConv2D
from mtnet_tf.layers.tw_dense import TWDense
from mtnet_tf.layers.tw_depthwise_conv2d import TWDepthwiseConv2D
from mtnet_tf.layers.tw_layer import TaskWeight, TWLayer

__all__ = [
    "BlockMaxPooling2D",
    "ExactNormalization",
    "ExampleGroupNormalization",
    "ExampleLayerNormalization",
    "MaskLogits",
    "TWConv1D",
    "TWConv2D",
    "TWDense",
    "TWDepthwiseConv2D",
    "TWLayer",
    "TaskBatchNormalization",
    "TaskWeight",
]
