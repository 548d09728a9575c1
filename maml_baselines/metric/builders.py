"""Builds the metric methods and the supervised baselines with the MT-net paper's network."""

import functools
from collections.abc import Callable

import keras
import numpy as np

from maml_baselines.metric.map_ranking import MAPRanking
from maml_baselines.metric.matching import FullContextMatchingNetwork, MatchingNetwork
from maml_baselines.metric.metric_learner import MetricLearner
from maml_baselines.metric.pretrained import FineTune, NearestNeighbour
from maml_baselines.metric.prototypical import PrototypicalNetwork
from mtnet_tf import MetaLearner
from mtnet_tf.experiments import Settings, build_learner, build_network, compile_learner
from mtnet_tf.tasks import ImageClasses, TaskDistribution

# Number of meta-steps after which the learning rate is multiplied by `decay`. Snell et al. 2017,
# section 3.1: by 1/2. Triantafillou et al. 2017 (their code): by 3/4 on MiniImagenet.
LOWERED_EVERY = 2000


def build(
    kind: Callable[..., MetricLearner],
    settings: Settings,
    tasks: TaskDistribution,
    *,
    decay: float = 1.0,
) -> MetricLearner:
    """Builds a metric method with the paper's network without its last layer.

    Args:
        kind: subclass of `MetricLearner`.
        settings: see `resolve`.
        tasks: to train on.
        decay: factor of Adam's learning rate every `LOWERED_EVERY` meta-steps.

    Returns:
        The compiled learner.
    """
    model = build_network(settings, tasks, head=False)
    num_train_ways = settings.num_train_ways or None
    learner = kind(model, settings.num_ways, num_train_ways, seed=settings.seed)
    schedule = keras.optimizers.schedules.ExponentialDecay(
        settings.meta_learning_rate, LOWERED_EVERY, decay, staircase=True
    )
    optimizer = keras.optimizers.Adam(schedule, epsilon=1e-8)  # pyright: ignore[reportArgumentType]
    compile_learner(learner, settings, optimizer)
    return learner


def build_prototypical(settings: Settings, tasks: TaskDistribution) -> MetricLearner:
    """Builds Prototypical Networks."""
    return build(PrototypicalNetwork, settings, tasks, decay=0.5)


def build_matching(settings: Settings, tasks: TaskDistribution) -> MetricLearner:
    """Builds Matching Networks without full context embeddings."""
    return build(MatchingNetwork, settings, tasks)


def build_matching_with_context(settings: Settings, tasks: TaskDistribution) -> MetricLearner:
    """Builds Matching Networks with full context embeddings."""
    return build(FullContextMatchingNetwork, settings, tasks)


def build_map_ssvm(settings: Settings, tasks: TaskDistribution) -> MetricLearner:
    """Builds mAP-SSVM."""
    return _build_map(settings, tasks, "hinge")


def build_map_dlm(settings: Settings, tasks: TaskDistribution) -> MetricLearner:
    """Builds mAP-DLM."""
    return _build_map(settings, tasks, "direct")


def _build_map(settings: Settings, tasks: TaskDistribution, ranking_loss: str) -> MetricLearner:
    kind = functools.partial(MAPRanking, ranking_loss=ranking_loss)
    decay = 0.75 if settings.data_source == "miniimagenet" else 1.0
    return build(kind, settings, tasks, decay=decay)


def build_nearest(settings: Settings, tasks: TaskDistribution) -> MetricLearner:
    """Builds the nearest-neighbour baseline."""
    kind = functools.partial(NearestNeighbour, classes=_training_classes(tasks))
    return build(kind, settings, tasks)


def build_fine_tune(settings: Settings, tasks: TaskDistribution) -> MetaLearner:
    """Builds the fine-tune baseline."""
    kind = functools.partial(FineTune, classes=_training_classes(tasks))
    return build_learner(settings, tasks, kind=kind)


def _training_classes(tasks: TaskDistribution) -> np.ndarray:
    """Numbers of the training classes in the data set, [C]."""
    if not isinstance(tasks, ImageClasses):
        raise ValueError(
            f"`tasks` must be an `ImageClasses`. Received: tasks of {type(tasks).__name__}."
        )
    return tasks.classes
