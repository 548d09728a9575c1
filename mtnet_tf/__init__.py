"""MT-nets and T-nets (Lee & Choi, ICML 2018) as Keras layers and a Keras trainer."""

from mtnet_tf.audit import Audit, audit
from mtnet_tf.convert import to_mtnet
from mtnet_tf.evaluation import Evaluation, evaluate
from mtnet_tf.few_shot_classifier import FewShotClassifier
from mtnet_tf.folding import fold
from mtnet_tf.inner_loop import adapt
from mtnet_tf.intervals import bootstrap_interval, summarize
from mtnet_tf.layers import (
    BlockMaxPooling2D,
    ExampleGroupNormalization,
    ExampleLayerNormalization,
    MaskLogits,
    TaskBatchNormalization,
    TWConv1D,
    TWConv2D,
    TWDense,
    TWDepthwiseConv2D,
    TWLayer,
)
from mtnet_tf.learner import MetaLearner
from mtnet_tf.losses import FewShotCrossentropy
from mtnet_tf.networks import convolutional_network, dense_image_network, regression_network
from mtnet_tf.tasks import Episode, ImageClasses, Polynomials, Sinusoids, TaskDistribution

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "BlockMaxPooling2D",
    "Episode",
    "Evaluation",
    "ExampleGroupNormalization",
    "ExampleLayerNormalization",
    "FewShotClassifier",
    "FewShotCrossentropy",
    "ImageClasses",
    "MaskLogits",
    "MetaLearner",
    "Polynomials",
    "Sinusoids",
    "TWConv1D",
    "TWConv2D",
    "TWDense",
    "TWDepthwiseConv2D",
    "TWLayer",
    "TaskBatchNormalization",
    "TaskDistribution",
    "adapt",
    "audit",
    "bootstrap_interval",
    "convolutional_network",
    "dense_image_network",
    "evaluate",
    "fold",
    "regression_network",
    "summarize",
    "to_mtnet",
]
