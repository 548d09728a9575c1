"""Task distributions: `sample(seed, num_tasks) -> Episode`, episode streams and class splits.

May import: `seeds`.
"""

from mtnet_tf.tasks.class_split import Split, split_classes
from mtnet_tf.tasks.episode import Episode, TaskDistribution
from mtnet_tf.tasks.image_classes import ImageClasses
from mtnet_tf.tasks.regression import Polynomials, Sinusoids
from mtnet_tf.tasks.sampled_stream import SampledBatches
from mtnet_tf.tasks.streams import EpisodeStreams, Role

__all__ = [
    "Episode",
    "EpisodeStreams",
    "ImageClasses",
    "Polynomials",
    "Role",
    "SampledBatches",
    "Sinusoids",
    "Split",
    "TaskDistribution",
    "split_classes",
]
