"""The evaluator: scores after each inner step, over distinct episodes that depend on a seed only.

Two learners evaluated with the same seed, tasks and number of episodes see the same episodes.
"""

import hashlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.layers import SetStatistics
from mtnet_tf.meta import count_tasks, flatten_tasks, probabilities, task_losses

# Episode e is task e % 20 of draw e // 20, whatever the number of episodes asked for.
TASKS_PER_DRAW = 20
# A distribution with so few distinct episodes can't give an honest interval.
MAX_REPEATED_DRAWS = 10


class Evaluation(NamedTuple):
    """Scores of E distinct episodes; S inner steps.

    Query scores come twice: normalised by the statistics of the query set itself (transductive,
    as in the paper: each prediction depends on the other queries) and by those of the support
    set (inductive: each query is predicted alone).

    Attributes:
      fingerprints: E hashes, one per episode.
      support_loss: [E], before adaptation.
      query_loss: [E, S+1], before adaptation and after each step.
      inductive_loss: like `query_loss`; None where no layer normalises over a set.
      support_accuracy, query_accuracy, inductive_accuracy: likewise; None for regression.
      probabilities: [E, S+1, m, N] of the (transductive) answers; None for regression.
      labels: [E, m]; None for regression.
      classes: [E, N], which class of the data set each label stands for; None where unknown.
    """

    fingerprints: list
    support_loss: np.ndarray
    query_loss: np.ndarray
    inductive_loss: np.ndarray | None = None
    support_accuracy: np.ndarray | None = None
    query_accuracy: np.ndarray | None = None
    inductive_accuracy: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    labels: np.ndarray | None = None
    classes: np.ndarray | None = None

    @property
    def metric(self):
        """What the score is: "accuracy", or "loss" for regression."""
        return "loss" if self.query_accuracy is None else "accuracy"

    @property
    def query(self):
        """The query scores, [E, S+1]."""
        return self.query_loss if self.query_accuracy is None else self.query_accuracy

    @property
    def inductive(self):
        """The inductive query scores, [E, S+1]; None where they are the same as `query`."""
        return self.inductive_loss if self.query_accuracy is None else self.inductive_accuracy

    @property
    def support(self):
        """The support scores before adaptation, [E]."""
        return self.support_loss if self.query_accuracy is None else self.support_accuracy


def evaluate(
    learner,
    tasks,
    *,
    num_episodes=600,
    num_inner_steps=10,
    seed=0,
    purpose=seeds.Purpose.EVALUATION_TASKS,
    verbose=1,
):
    """Adapts a learner to distinct episodes and scores it after each inner step.

    Args:
      learner: compiled `EpisodicLearner`.
      tasks: `TaskDistribution`.
      num_episodes: E.
      num_inner_steps: S, steps to go, whatever the learner was trained with.
      seed: of the episodes and the masks.
      purpose: `seeds.Purpose` of the episodes; SELECTION_TASKS for what choices are made on, which
        must not be the test's own episodes where both come from one distribution (regression).
      verbose: 1 for a progress bar.

    Returns:
      `Evaluation`.

    Raises:
      ValueError: if the distribution has too few distinct episodes.
    """
    sample = _sample_function(tasks, seed, purpose)
    score = _score_function(learner, num_inner_steps, seed)
    bar = keras.utils.Progbar(num_episodes, verbose=verbose, unit_name="episode")
    found, draw, repeated = {}, 0, 0
    while len(found) < num_episodes:
        number = tf.constant(draw)
        episode = sample(number)
        rows = _rows(episode, score(number, episode))
        new = {key: row for key, row in rows if key not in found}
        found |= dict(list(new.items())[: num_episodes - len(found)])
        draw, repeated = draw + 1, 0 if new else repeated + 1
        if repeated > MAX_REPEATED_DRAWS:
            raise ValueError(
                f"`num_episodes` must not exceed the number of distinct episodes, {len(found)} "
                f"here. Received: num_episodes={num_episodes}. Ask for fewer, or add classes."
            )
        bar.update(len(found))
    rows = list(found.values())
    return Evaluation(list(found), **{name: np.stack([r[name] for r in rows]) for name in rows[0]})


def _sample_function(tasks, seed, purpose):
    """Number of a draw -> its episodes; apart from scoring, since not all compile with XLA."""

    def sample(draw):
        draw_seed = seeds.stateless_seed(seed, purpose, draw)
        return tasks.sample(draw_seed, TASKS_PER_DRAW)

    return tf.function(sample, autograph=False)


def _score_function(learner, num_inner_steps, seed):
    """(number of a draw, its episodes) -> their scores, task by task; compiled."""

    def score(draw, episode):
        mask_seed = seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_MASKS, draw)
        return score_episode(learner, episode, num_inner_steps, mask_seed)

    if learner.run_eagerly:
        return score
    return tf.function(score, jit_compile=learner.jit_compile, autograph=False)


def score_episode(learner, episode, num_inner_steps, seed):
    """Support scores before adaptation and query scores before it and after each step.

    Args:
      learner: compiled `EpisodicLearner`.
      episode: `Episode` of B tasks.
      num_inner_steps: S.
      seed: stateless seed of what the learner draws, int32 [2].

    Returns:
      Dict from names of `Evaluation` to tensors [B, ...], as far as the task has them.
    """
    support = (episode.support_x, episode.support_y)
    predictors = learner.predictors(support, num_inner_steps, seed)
    before = _scores(learner, predictors[0], *support)
    scores = {f"support_{n}": before[n] for n in ("loss", "accuracy") if n in before}
    distinct = dict.fromkeys(predictors)  # a method without steps repeats itself
    statistics = {p: _statistics_of(p, episode.support_x) for p in distinct}
    normalizes = any(recorded.recorded for recorded in statistics.values())
    found = {
        p: _query_scores(learner, p, episode, statistics[p] if normalizes else None)
        for p in distinct
    }
    steps = [found[p] for p in predictors]
    scores |= {name: tf.stack([s[name] for s in steps], 1) for name in steps[0]}  # [B, S+1, ...]
    if "probabilities" in scores:
        scores["labels"] = episode.query_y
    return scores


def _statistics_of(predictor, x):
    """What the normalisations find in a set, a `SetStatistics`."""
    statistics = SetStatistics()
    predictor(x, statistics)
    return statistics


def _query_scores(learner, predictor, episode, statistics):
    """Scores by the query set's own statistics, and by `statistics` unless they are None."""
    query = (episode.query_x, episode.query_y)
    found = _scores(learner, predictor, *query)
    scores = {n if n == "probabilities" else f"query_{n}": v for n, v in found.items()}
    if statistics is not None:
        found = _scores(learner, predictor, *query, statistics.replay())
        scores |= {f"inductive_{n}": v for n, v in found.items() if n != "probabilities"}
    return scores


def _scores(learner, predictor, x, y, statistics=None):
    num_tasks = count_tasks(x)
    predictions = predictor(x, statistics)
    scores = {"loss": task_losses(learner.task_loss, flatten_tasks(y), predictions, num_tasks)}
    if y.dtype.is_integer:
        hits = tf.argmax(predictions, -1, y.dtype) == flatten_tasks(y)
        hits = tf.reshape(tf.cast(hits, tf.float32), [num_tasks, -1])
        scores["accuracy"] = tf.reduce_mean(hits, 1)
        p = probabilities(learner.task_loss, predictions)
        scores["probabilities"] = tf.reshape(p, [num_tasks, -1, p.shape[-1]])
    return scores


def _rows(episode, scores):
    """(fingerprint, scores) of each task of a draw."""
    scores = {name: value.numpy() for name, value in scores.items()}
    if episode.classes is not None:
        scores["classes"] = episode.classes.numpy()
    halves = [part.numpy() for part in episode[:4]]
    for task, parts in enumerate(zip(*halves, strict=True)):
        yield fingerprint(parts), {name: value[task] for name, value in scores.items()}


def fingerprint(parts):
    """A hash of an episode: inputs and targets, support and query, of one task."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.shape}{part.dtype}".encode() + part.tobytes())
    return digest.hexdigest()[:16]
