"""What a trained network has learned about its tasks."""

from typing import NamedTuple

import numpy as np

from mtnet_tf import seeds
from mtnet_tf.task_weights import find_task_weights


def active_fraction(model, layers=None):
    """Expected fraction of the task weights that a task may change.

    P(mask = 1) = sigmoid(zeta), averaged over weights, so that a layer counts by its size
    (section 6.3 prints the opposite sign, and the authors average over layers). A weight without
    a mask always changes.

    Args:
      model: built Keras model with TW layers.
      layers: those that adapt, None for the TW layers; see `find_task_weights`.

    Returns:
      float in [0, 1].
    """
    total = active = 0.0
    for variable, mask_logits, _ in find_task_weights(model, layers):
        size = np.prod(variable.shape)
        probability = 1.0 if mask_logits is None else np.mean(mask_logits.active_probability())
        total, active = total + size, active + size * float(probability)
    return active / total


class RegressionCurves(NamedTuple):
    """What a network predicts for B regression tasks at some inner steps.

    Attributes:
      steps: S numbers of inner steps.
      support_x, support_y: [B, K].
      x, y: [B, m], the tasks' functions, x ascending.
      predictions: [S, B, m].
    """

    steps: tuple
    support_x: np.ndarray
    support_y: np.ndarray
    x: np.ndarray
    y: np.ndarray
    predictions: np.ndarray


def regression_curves(learner, tasks, *, num_tasks=4, steps=(0, 1, 2, 5, 10), seed=0):
    """Adapts a learner to a few tasks and follows its predictions (Figure 4, appendix C).

    Args:
      learner: compiled `MetaLearner`.
      tasks: regression `TaskDistribution` with many query points, which draw the curves.
      num_tasks: B.
      steps: after which inner steps to look.
      seed: of the tasks and the masks.

    Returns:
      `RegressionCurves`.
    """
    episode = tasks.sample(seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_TASKS, 0), num_tasks)
    mask_seed = seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_MASKS, 0)
    support = (episode.support_x, episode.support_y)
    predictors = learner.predictors(support, max(steps), mask_seed)
    # The first input is x; an oracle sees the task's identity beside it.
    x, y = episode.query_x.numpy()[..., 0], episode.query_y.numpy()[..., 0]
    order = np.argsort(x, 1)
    found = [predictors[step](episode.query_x) for step in steps]
    found = np.reshape([f.numpy() for f in found], [len(steps), num_tasks, -1])
    support = (episode.support_x.numpy()[..., 0], episode.support_y.numpy()[..., 0])
    x, y = (np.take_along_axis(v, order, 1) for v in (x, y))
    return RegressionCurves(steps, *support, x, y, np.take_along_axis(found, order[None], 2))
