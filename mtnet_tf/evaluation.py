"""The evaluator: scores after each inner step, over distinct episodes that depend on a seed only.

Two learners evaluated with the same seed, tasks and number of episodes see the same episodes.
"""

import hashlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.losses import task_losses
from mtnet_tf.meta_step import adapt_to_support, fold_tasks, predict

# Episode e is task e % 20 of draw e // 20, whatever the number of episodes asked for.
TASKS_PER_DRAW = 20
# A distribution with so few distinct episodes can't give an honest interval.
MAX_REPEATED_DRAWS = 10


class Summary(NamedTuple):
    """Statistics over episodes, each an array [...].

    Attributes:
      mean: over episodes.
      std: standard deviation over episodes (of the population, as in the authors' code).
      ci95: half width of the 95 % interval of the mean, `1.96 * std / sqrt(episodes)`.
    """

    mean: np.ndarray
    std: np.ndarray
    ci95: np.ndarray


class Evaluation(NamedTuple):
    """Scores of E distinct episodes.

    Attributes:
      support_loss: [E], before adaptation.
      query_loss: [E, num_inner_steps + 1], before adaptation and after each step.
      support_accuracy: like `support_loss`; None for regression.
      query_accuracy: like `query_loss`; None for regression.
      fingerprints: E hashes, one per episode.
    """

    support_loss: np.ndarray
    query_loss: np.ndarray
    support_accuracy: np.ndarray | None
    query_accuracy: np.ndarray | None
    fingerprints: list

    @property
    def metric(self):
        """What the score is: "accuracy", or "loss" for regression."""
        return "loss" if self.query_accuracy is None else "accuracy"

    @property
    def query(self):
        """The query scores, [E, num_inner_steps + 1]."""
        return self.query_loss if self.query_accuracy is None else self.query_accuracy

    @property
    def support(self):
        """The support scores before adaptation, [E]."""
        return self.support_loss if self.query_accuracy is None else self.support_accuracy


def summarize(scores):
    """Mean, standard deviation and interval over the first axis, the episodes."""
    std = scores.std(0)
    return Summary(scores.mean(0), std, 1.96 * std / np.sqrt(len(scores)))


def evaluate(learner, tasks, *, num_episodes=600, num_inner_steps=10, seed=0, verbose=1):
    """Adapts a learner to distinct episodes and scores it after each inner step.

    Args:
      learner: compiled `MetaLearner`.
      tasks: `TaskDistribution`.
      num_episodes: E.
      num_inner_steps: steps to go, whatever the learner was trained with.
      seed: of the episodes and the masks.
      verbose: 1 for a progress bar.

    Returns:
      `Evaluation`.

    Raises:
      ValueError: if the distribution has too few distinct episodes.
    """
    score = _score_function(learner, tasks, num_inner_steps, seed)
    bar = keras.utils.Progbar(num_episodes, verbose=verbose, unit_name="episode")
    found, draw, repeated = {}, 0, 0
    while len(found) < num_episodes:
        episode, scores = score(tf.constant(draw))
        rows = zip(_fingerprints(episode), *(s.numpy() for s in scores), strict=True)
        new = {key: row for key, *row in rows if key not in found}
        found |= dict(list(new.items())[: num_episodes - len(found)])
        draw, repeated = draw + 1, 0 if new else repeated + 1
        if repeated > MAX_REPEATED_DRAWS:
            raise ValueError(
                f"`num_episodes` must not exceed the number of distinct episodes, {len(found)} "
                f"here. Received: num_episodes={num_episodes}. Ask for fewer, or add classes."
            )
        bar.update(len(found))
    columns = [np.stack(column) for column in zip(*found.values(), strict=True)]
    if len(columns) == 2:
        columns += [None, None]
    return Evaluation(*columns, list(found))


def _score_function(learner, tasks, num_inner_steps, seed):
    """Number of a draw -> its episodes and their scores, task by task; compiled."""

    def score(draw):
        draw_seed = seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_TASKS, draw)
        mask_seed = seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_MASKS, draw)
        episode = tasks.sample(draw_seed, TASKS_PER_DRAW)
        masks = learner.masks(TASKS_PER_DRAW, mask_seed)
        return episode, score_episode(learner, episode, num_inner_steps, masks)

    if learner.run_eagerly:
        return score
    return tf.function(score, jit_compile=learner.jit_compile, autograph=False)


def score_episode(learner, episode, num_inner_steps, masks):
    """Support scores before adaptation and query scores before it and after each step.

    Args:
      learner: compiled `MetaLearner`.
      episode: `Episode` of B tasks.
      num_inner_steps: S.
      masks: see `adapt`.

    Returns:
      List: support loss [B], query loss [B, S+1], and for classification (integer labels)
      support accuracy [B], query accuracy [B, S+1].
    """
    support = (episode.support_x, episode.support_y)
    trajectory = adapt_to_support(
        learner.model,
        learner.task_weights,
        learner.task_loss,
        support,
        num_inner_steps=num_inner_steps,
        step_size=learner.step_size,
        masks=masks,
        training=False,
    ).trajectory
    before = _scores(learner, trajectory[0], *support)
    query = [_scores(learner, w, episode.query_x, episode.query_y) for w in trajectory]
    after = [tf.stack(values, 1) for values in zip(*query, strict=True)]  # [B, S+1]
    return [scores for pair in zip(before, after, strict=True) for scores in pair]


def _scores(learner, weights, x, y):
    num_tasks = x.shape[0]
    predictions = predict(learner.model, learner.task_weights, weights, x, training=False)
    scores = [task_losses(learner.task_loss, fold_tasks(y), predictions, num_tasks)]
    if y.dtype.is_integer:
        hits = tf.argmax(predictions, -1, y.dtype) == fold_tasks(y)
        hits = tf.reshape(tf.cast(hits, tf.float32), [num_tasks, -1])
        scores.append(tf.reduce_mean(hits, 1))
    return scores


def _fingerprints(episode):
    halves = zip(episode.support_x.numpy(), episode.query_x.numpy(), strict=True)
    return [hashlib.sha256(s.tobytes() + q.tobytes()).hexdigest()[:16] for s, q in halves]
