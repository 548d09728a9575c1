"""MT-nets and T-nets (Lee & Choi, ICML 2018) as Keras layers and a Keras trainer."""

from data_prep.io import keep_freed_memory
from mtnet_tf._old_names import install
from mtnet_tf._version import __version__
from mtnet_tf.conversion import fold, to_mtnet
from mtnet_tf.diagnostics import Audit, audit
from mtnet_tf.evaluation import Evaluation, bootstrap_interval, evaluate, summarize
from mtnet_tf.layers import (
    BlockMaxPooling2D,
    ExactGroupNormalization,
    ExactLayerNormalization,
    ExactResizing,
    ExactUpSampling2D,
    MaskLogits,
    TaskBatchNormalization,
    TWConv1D,
    TWConv2D,
    TWDense,
    TWDepthwiseConv2D,
    TWLayer,
)
from mtnet_tf.learners import EpisodicLearner, MetaLearner
from mtnet_tf.meta import FewShotCrossentropy, GradientDescent, UpdateRule, adapt
from mtnet_tf.networks import convolutional_network, dense_image_network, regression_network
from mtnet_tf.pictures import FewShotClassifier
from mtnet_tf.tasks import Episode, ImageClasses, Polynomials, Sinusoids, TaskDistribution

__all__ = [
    "Audit",
    "BlockMaxPooling2D",
    "Episode",
    "EpisodicLearner",
    "Evaluation",
    "ExactGroupNormalization",
    "ExactLayerNormalization",
    "ExactResizing",
    "ExactUpSampling2D",
    "FewShotClassifier",
    "FewShotCrossentropy",
    "GradientDescent",
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
    "UpdateRule",
    "__version__",
    "adapt",
    "audit",
    "bootstrap_interval",
    "convolutional_network",
    "dense_image_network",
    "evaluate",
    "fold",
    "keep_freed_memory",
    "regression_network",
    "summarize",
    "to_mtnet",
]

install()
