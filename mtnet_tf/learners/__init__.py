"""TODO mtnet_tf.learners."""

from mtnet_tf.learners.episodic_learner import EpisodicLearner
from mtnet_tf.learners.meta_learner import MetaLearner

__all__ = [
    "EpisodicLearner",
    "MetaLearner",
]
