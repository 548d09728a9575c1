"""Task distributions: `sample(seed, num_tasks) -> Episode`, episode streams and class splits.

May import: `seeds`.
"""

from mtnet_tf.tasks.class_split import Split, split_classes
from mtnet_tf.tasks.episode import Episode, Examples, Inputs, Part
from mtnet_tf.tasks.episode_structure import looks_like_episode, read_episode
from mtnet_tf.tasks.image_classes import ImageClasses
from mtnet_tf.tasks.regression import Polynomials, Sinusoids
from mtnet_tf.tasks.sampled_stream import SampledBatches
from mtnet_tf.tasks.streams import EpisodeStreams, Role
from mtnet_tf.tasks.task_distribution import TaskDistribution
from mtnet_tf.tasks.user_episodes import split_last

__all__ = [
    "Episode",
    "EpisodeStreams",
    "Examples",
    "ImageClasses",
    "Inputs",
    "Part",
    "Polynomials",
    "Role",
    "SampledBatches",
    "Sinusoids",
    "Split",
    "TaskDistribution",
    "looks_like_episode",
    "read_episode",
    "split_classes",
    "split_last",
]
