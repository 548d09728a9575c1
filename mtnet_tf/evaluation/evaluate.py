"""The evaluator: scores after each inner step, over distinct episodes.

The episodes are determined by the seed, the purpose and the tasks: two learners that are evaluated
with the same arguments see the same episodes.
"""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from data_prep.io import bar
from mtnet_tf import seeds
from mtnet_tf.meta import (
    SetStatistics,
    TaskLoss,
    class_numbers,
    count_tasks,
    flatten_tasks,
    ignored_class,
    output_kind,
    predicted_classes,
    probabilities,
    task_losses,
    task_means,
)
from mtnet_tf.tasks import Episode, Examples, Inputs, Part, TaskDistribution, read_episode

# Episode e is task e % 20 of draw e // 20, for any number of episodes.
TASKS_PER_DRAW = 20
# A distribution that repeats its episodes this often has too few of them for a valid interval.
MAX_REPEATED_DRAWS = 10
# Of the weights of all tasks in one call on a processor.
_CACHE_BYTES = 2 * 2**20

# From query inputs [B, m, ...] and the `SetStatistics` to use, or None, to predictions [B*m, ...].
Predictor = Callable[..., tf.Tensor]
Scores = dict[str, tf.Tensor]
# Scores that are the same for both kinds of normalisation, or of interest for one of them only.
_ONCE = ("probabilities", "labels")


class Learner(Protocol):
    """What the evaluator needs of a compiled `EpisodicLearner`."""

    model: keras.Model
    task_loss: TaskLoss

    @property
    def num_replicas(self) -> int:
        """How many calls of a compiled function run at the same time."""
        ...

    def compile_function(
        self, function: Callable[..., Scores]
    ) -> Callable[[Sequence[tuple[Any, ...]]], list[Scores]]:
        """Function of the arguments of `num_replicas` calls, which returns their results."""
        ...

    def check_labels(self, support_y: np.ndarray, query_y: np.ndarray) -> None:
        """Raises ValueError if the loss cannot be computed from labels [B, n, ...]."""
        ...

    def predictors(
        self,
        support: Examples,
        num_inner_steps: int,
        seed: tf.Tensor,
        part: Part | None = None,
    ) -> Sequence[Predictor]:
        """Functions that answer queries before learning and after each of S inner steps."""
        ...


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of E distinct episodes after each of S inner steps.

    There are two kinds of query scores. Transductive scores normalise a query set by its own
    statistics, as in the paper: each prediction depends on the other queries. Inductive scores
    normalise it by the statistics of the support set: each query is predicted independently.

    Attributes:
        fingerprints: E hashes, one per episode.
        support_loss: [E], before adaptation, reduced as the learner's loss defines.
        query_loss: [E, S+1], before adaptation and after each step.
        inductive_loss: [E, S+1]; None if no layer normalises over a set.
        support_accuracy: [E]; None for regression, like all following fields.
        query_accuracy: [E, S+1].
        inductive_accuracy: [E, S+1]; None if no layer normalises over a set.
        probabilities: [E, S+1, m, N], of the transductive predictions; None for a hinge loss,
            whose outputs are not probabilities.
        labels: [E, m], class numbers.
        classes: [E, N], the class of the data set that each label stands for; None if unknown.
    """

    fingerprints: list[str]
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
    def metric(self) -> str:
        """The name of the score: "accuracy", or "loss" for regression."""
        return "loss" if self.query_accuracy is None else "accuracy"

    @property
    def query(self) -> np.ndarray:
        """The query scores, [E, S+1]."""
        return self.query_loss if self.query_accuracy is None else self.query_accuracy

    @property
    def inductive(self) -> np.ndarray | None:
        """The inductive query scores, [E, S+1]; None if they are the same as `query`."""
        return self.inductive_loss if self.query_accuracy is None else self.inductive_accuracy

    @property
    def support(self) -> np.ndarray:
        """The support scores before adaptation, [E]."""
        return self.support_loss if self.support_accuracy is None else self.support_accuracy


def evaluate(
    learner: Learner,
    tasks: TaskDistribution,
    *,
    num_episodes: int = 600,
    num_inner_steps: int = 10,
    seed: int = 0,
    purpose: seeds.Purpose = seeds.Purpose.EVALUATION_TASKS,
    verbose: int = 1,
) -> Evaluation:
    """Adapts a learner to distinct episodes and scores it after each inner step.

    Example:
    >>> from mtnet_tf import MetaLearner, Sinusoids, regression_network
    >>> learner = MetaLearner(regression_network(dim_hidden=(4,)), step_size=0.01)
    >>> learner.compile("adam", "mean_squared_error", jit_compile=False)
    >>> evaluate(learner, Sinusoids(), num_episodes=20, num_inner_steps=2, verbose=0).query.shape
    (20, 3)

    Args:
        learner: compiled `EpisodicLearner`.
        tasks: `TaskDistribution`.
        num_episodes: E.
        num_inner_steps: S, number of inner steps. It may differ from training.
        seed: seed of the episodes and the masks.
        purpose: `seeds.Purpose` of the episodes. Use SELECTION_TASKS to choose between learners:
            in regression, test episodes come from the same distribution and must not be reused.
        verbose: 0 shows nothing; 1 shows a progress bar on a terminal.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: if the distribution has too few distinct episodes, or if the loss cannot be
            computed from the labels of the first ones, or if a number is not an integer.
    """
    num_episodes = seeds.validate_integer("num_episodes", num_episodes, 1)
    num_inner_steps = seeds.validate_integer("num_inner_steps", num_inner_steps, 0)
    sample = _sample_function(tasks, seed, purpose)
    found: dict[str, dict[str, np.ndarray]] = {}
    draws = _scored_draws(learner, sample, num_inner_steps, seed)
    repeated = 0
    with bar(None, "Evaluating", num_episodes, "episode", progress=bool(verbose)) as progress:
        while len(found) < num_episodes:
            new = {key: row for key, row in _rows(*next(draws)) if key not in found}
            found |= dict(list(new.items())[: num_episodes - len(found)])
            repeated = 0 if new else repeated + 1
            if repeated > MAX_REPEATED_DRAWS:
                raise ValueError(
                    "`num_episodes` must not exceed the number of distinct episodes, which is "
                    f"{len(found)}. Received: num_episodes={num_episodes}. Use fewer, or add "
                    "classes."
                )
            progress.update(len(found) - progress.n)
    return _stacked(found)


def _stacked(found: dict[str, dict[str, np.ndarray]]) -> Evaluation:
    """Stacks the scores of all episodes, given by fingerprint, into an `Evaluation`."""
    rows = list(found.values())
    scores = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return Evaluation(list(found), **scores)


def _sample_function(
    tasks: TaskDistribution, seed: int, purpose: seeds.Purpose
) -> Callable[[tf.Tensor], Episode]:
    """Function: number of a draw -> its episodes.

    It is separate from scoring, because not every distribution compiles with XLA.
    """

    def sample(draw: tf.Tensor) -> Episode:
        draw_seed = seeds.stateless_seed(seed, purpose, draw)
        return read_episode(tasks.sample(draw_seed, TASKS_PER_DRAW))

    return tf.function(sample, autograph=False)


def _scored_draws(
    learner: Learner, sample: Callable[[tf.Tensor], Episode], num_inner_steps: int, seed: int
) -> Iterator[tuple[Episode, Scores]]:
    """The episodes of draw 0, 1, ... and the scores of each task.

    Replicas score different draws, so that the scores do not depend on their number.
    """
    size = _tasks_at_a_time(learner)

    def score(draw: tf.Tensor, first: tf.Tensor, episode: Episode) -> Scores:
        mask_seed = seeds.stateless_seed(seed, seeds.Purpose.EVALUATION_MASKS, draw)
        episode = episode._replace(part=Part(first, size, TASKS_PER_DRAW))
        return score_episode(learner, episode, num_inner_steps, mask_seed)

    score_all = learner.compile_function(score)
    for draw in itertools.count(step=learner.num_replicas):
        draws = [tf.constant(draw + i) for i in range(learner.num_replicas)]
        episodes = [sample(number) for number in draws]
        if draw == 0:
            learner.check_labels(episodes[0].support_y.numpy(), episodes[0].query_y.numpy())
        parts = []
        for first in range(0, TASKS_PER_DRAW, size):
            taken = [episode.take(first, size)._replace(part=None) for episode in episodes]
            firsts = [tf.constant(first)] * len(draws)
            parts.append(score_all(list(zip(draws, firsts, taken, strict=True))))
        for episode, scores in zip(episodes, zip(*parts, strict=True), strict=True):
            yield episode, {name: tf.concat([s[name] for s in scores], 0) for name in scores[0]}


def _tasks_at_a_time(learner: Learner) -> int:
    """Number of tasks of a draw in one call of the compiled function.

    A processor is twice as fast if the fast weights of all of them fit into its cache. A GPU needs
    many tasks.
    """
    if tf.config.list_physical_devices("GPU"):
        return TASKS_PER_DRAW
    num_bytes = sum(math.prod(v.shape) * 4 for v in learner.model.trainable_variables)
    fitting = [n for n in (1, 2, 4, 5, 10, 20) if n * num_bytes <= _CACHE_BYTES]
    return max(fitting, default=1)


def score_episode(
    learner: Learner, episode: Episode, num_inner_steps: int, seed: tf.Tensor
) -> Scores:
    """Support scores before adaptation and query scores before it and after each step.

    Args:
        learner: compiled `EpisodicLearner`.
        episode: `Episode` of B tasks.
        num_inner_steps: S.
        seed: stateless seed of what the learner draws, int32 [2].

    Returns:
        Dict from names of fields of `Evaluation` to tensors [B, ...]; without those that are None.
    """
    predictors = learner.predictors(episode.support, num_inner_steps, seed, episode.part)
    before = _scores(learner, predictors[0], episode.support)
    scores = {f"support_{n}": before[n] for n in ("loss", "accuracy") if n in before}
    distinct = dict.fromkeys(predictors)  # a method without steps repeats one function
    statistics = {p: _statistics_of(p, episode.support_x) for p in distinct}
    normalizes = any(recorded.recorded for recorded in statistics.values())
    found = {
        p: _query_scores(learner, p, episode, statistics[p] if normalizes else None)
        for p in distinct
    }
    steps = [found[p] for p in predictors]
    scores |= {name: tf.stack([s[name] for s in steps], 1) for name in steps[0]}  # [B, S+1, ...]
    if "labels" in scores:  # the same at each step
        scores["labels"] = scores["labels"][:, 0]
    return scores


def _statistics_of(predictor: Predictor, x: Inputs) -> SetStatistics:
    """The statistics that the normalisation layers compute from a set [B, n, ...]."""
    statistics = SetStatistics()
    predictor(x, statistics)
    return statistics


def _query_scores(
    learner: Learner, predictor: Predictor, episode: Episode, statistics: SetStatistics | None
) -> Scores:
    """Transductive scores, and inductive ones with `statistics` unless they are None."""
    found = _scores(learner, predictor, episode.query)
    scores = {n if n in _ONCE else f"query_{n}": v for n, v in found.items()}
    if statistics is not None:
        found = _scores(learner, predictor, episode.query, statistics.replay())
        scores |= {f"inductive_{n}": v for n, v in found.items() if n not in _ONCE}
    return scores


def _scores(
    learner: Learner,
    predictor: Predictor,
    examples: Examples,
    statistics: SetStatistics | None = None,
) -> Scores:
    """Scores of a set [B, n, ...]. Sample weights are factors in its loss only.

    Returns:
        Dict with the loss [B]; if each example has one class, also with the accuracy [B], the
        class numbers [B, n] and, unless the loss has none, the probabilities [B, n, N].
    """
    x, y, *sample_weight = examples
    num_tasks, loss = count_tasks(x), learner.task_loss
    predictions, labels = predictor(x, statistics), flatten_tasks(y)
    scores = {"loss": task_losses(loss, labels, predictions, num_tasks, *sample_weight)}
    numbers = class_numbers(loss, labels, predictions.shape)
    if numbers is None:
        return scores
    hits = predicted_classes(loss, predictions) == tf.cast(numbers, tf.int32)
    ignored = ignored_class(loss)
    counted = None if ignored is None else numbers != tf.cast(ignored, numbers.dtype)
    scores["accuracy"] = task_means(tf.cast(hits, tf.float32), predictions, num_tasks, counted)
    scores["labels"] = tf.reshape(numbers, [num_tasks, -1])
    if output_kind(loss)[0] != "scores":
        p = probabilities(loss, predictions)
        scores["probabilities"] = tf.reshape(p, [num_tasks, -1, p.shape[-1]])
    return scores


def _rows(episode: Episode, scores: Scores) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(fingerprint, scores) of each task of a draw."""
    arrays = {name: value.numpy() for name, value in scores.items()}
    if episode.classes is not None:
        arrays["classes"] = episode.classes.numpy()
    halves = (episode.support_x, episode.support_y, episode.query_x, episode.query_y)
    sets = [part.numpy() for part in tf.nest.flatten(halves)]
    for task, parts in enumerate(zip(*sets, strict=True)):
        yield fingerprint(parts), {name: value[task] for name, value in arrays.items()}


def fingerprint(parts: Sequence[np.ndarray]) -> str:
    """A hash of an episode of one task: inputs and targets of support and query set."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.shape}{part.dtype}".encode() + part.tobytes())
    return digest.hexdigest()[:16]
