"""Builds the metric methods and the supervised baselines on the paper's network."""

import keras

from maml_baselines.metric.map_ranking import MAPRanking
from maml_baselines.metric.matching import FullContextMatchingNetwork, MatchingNetwork
from maml_baselines.metric.pretrained import FineTune, NearestNeighbour
from maml_baselines.metric.prototypical import PrototypicalNetwork
from mtnet_tf.experiments import build_learner, build_network, compile_learner

# Snell et al. 2017, section 3.1: half the learning rate every 2,000 episodes. Triantafillou et
# al. 2017 (their code): three quarters of it, on MiniImagenet.
LOWERED_EVERY = 2000


def build(kind, settings, tasks, *, decay=1.0, **options):
    """A metric method on the paper's network without its last layer.

    Args:
      kind: `MetricLearner` subclass.
      settings: dict, see `methods.resolve`.
      tasks: `TaskDistribution` to train on.
      decay: what Adam's learning rate is multiplied by every `LOWERED_EVERY` meta-steps.
      **options: further arguments of `kind`.

    Returns:
      The learner, compiled.
    """
    model = build_network(settings, tasks, head=False)
    ways = settings.num_ways, settings.num_train_ways or None
    learner = kind(model, *ways, seed=settings.seed, **options)
    schedule = keras.optimizers.schedules.ExponentialDecay(
        settings.meta_learning_rate, LOWERED_EVERY, decay, staircase=True
    )
    optimizer = keras.optimizers.Adam(schedule, epsilon=1e-8)
    return compile_learner(learner, settings, optimizer)


def build_prototypical(settings, tasks):
    """Prototypical Networks."""
    return build(PrototypicalNetwork, settings, tasks, decay=0.5)


def build_matching(settings, tasks):
    """Matching Networks without full context embeddings."""
    return build(MatchingNetwork, settings, tasks)


def build_matching_with_context(settings, tasks):
    """Matching Networks with full context embeddings."""
    return build(FullContextMatchingNetwork, settings, tasks)


def build_map_ssvm(settings, tasks):
    """mAP-SSVM."""
    return _build_map(settings, tasks, "hinge")


def build_map_dlm(settings, tasks):
    """mAP-DLM."""
    return _build_map(settings, tasks, "direct")


def _build_map(settings, tasks, ranking_loss):
    decay = 0.75 if settings.data_source == "miniimagenet" else 1.0
    return build(MAPRanking, settings, tasks, decay=decay, ranking_loss=ranking_loss)


def build_nearest(settings, tasks):
    """The nearest-neighbour baseline."""
    return build(NearestNeighbour, settings, tasks, classes=tasks.classes)


def build_fine_tune(settings, tasks):
    """The fine-tune baseline."""
    return build_learner(settings, tasks, kind=FineTune, classes=tasks.classes)
