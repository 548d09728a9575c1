"""A few regression tasks before and after adaptation (Figure 4, appendix C)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mtnet_tf import seeds
from mtnet_tf.evaluation.evaluate import Learner
from mtnet_tf.tasks import TaskDistribution, read_episode


@dataclasses.dataclass(frozen=True)
class RegressionCurves:
    """Predictions of a network for B regression tasks after some inner steps.

    Attributes:
        steps: S numbers of inner steps.
        support_x, support_y: [B, K].
        x, y: [B, m], the functions of the tasks, with x ascending.
        predictions: [S, B, m].
    """

    steps: Sequence[int]
    support_x: np.ndarray
    support_y: np.ndarray
    x: np.ndarray
    y: np.ndarray
    predictions: np.ndarray


def regression_curves(
    learner: Learner,
    tasks: TaskDistribution,
    *,
    num_tasks: int = 4,
    steps: Sequence[int] = (0, 1, 2, 5, 10),
    seed: int = 0,
) -> RegressionCurves:
    """Predictions of a learner while it adapts to a few tasks (Figure 4, appendix C).

    Args:
        learner: compiled `MetaLearner`.
        tasks: regression `TaskDistribution` with many query points, from which curves are drawn.
        num_tasks: B.
        steps: numbers of inner steps.
        seed: seed of the tasks and the masks.

    Returns:
        `RegressionCurves`.
    """
    num_tasks = seeds.validate_integer("num_tasks", num_tasks, 1)
    steps = seeds.validate_sizes("steps", steps)
    task_seed = seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_TASKS, 0)
    episode = read_episode(tasks.sample(task_seed, num_tasks))
    mask_seed = seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_MASKS, 0)
    predictors = learner.predictors(episode.support, max(steps), mask_seed)
    # The first input is x; an oracle also gets the identity of the task.
    x, y = episode.query_x.numpy()[..., 0], episode.query_y.numpy()[..., 0]
    order = np.argsort(x, 1)
    found = [predictors[step](episode.query_x) for step in steps]
    found = np.reshape([f.numpy() for f in found], [len(steps), num_tasks, -1])
    support = (episode.support_x.numpy()[..., 0], episode.support_y.numpy()[..., 0])
    x, y = (np.take_along_axis(v, order, 1) for v in (x, y))
    return RegressionCurves(steps, *support, x, y, np.take_along_axis(found, order[None], 2))
