"""Keras models that learn from tasks: `EpisodicLearner` and `MetaLearner`.

May import: `adaptation`, `diagnostics`, `meta`, `tasks`, `layers`, `seeds`, `_keras`.
"""

from mtnet_tf.learners.episodic_learner import EpisodicLearner
from mtnet_tf.learners.meta_learner import MetaLearner

__all__ = [
    "EpisodicLearner",
    "MetaLearner",
]
