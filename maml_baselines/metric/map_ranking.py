"""mAP-SSVM and mAP-DLM (Triantafillou et al. 2017, section 4): mean average precision as objective.

Every image of a batch ranks all other images by cosine similarity; images of its own class
(positives) should come before the others (negatives). The most violating ranking, the maximum of
`score + 1 - average precision`, is found by dynamic programming over the number of negatives before
each positive.

Deviations: the losses are those of the paper, while the authors' code multiplies the augmented
score by ten. With several shots a class is scored by its mean cosine, not by average precision.
"""

from collections.abc import Callable
from typing import Any, cast

import keras
import tensorflow as tf

from maml_baselines.metric.matching import cosine_similarity
from maml_baselines.metric.metric_learner import MetricLearner, as_numbers
from mtnet_tf.meta import InnerTrajectory, MetaLoss, flatten_tasks
from mtnet_tf.tasks import Episode


def _size(x: tf.Tensor, axis: int) -> int:
    """The size of an axis, which is known when the function is traced."""
    return cast(int, x.shape[axis])


def ranking_values(positives: tf.Tensor, negatives: tf.Tensor, weight: float = 1.0) -> tf.Tensor:
    """The contribution of each positive to `score + weight * (1 - average precision)`.

    With `p_ij = 1` if positive i precedes negative j and `p_ij = -1` otherwise, the score of a
    ranking is `sum_ij p_ij (s_i - s_j) / (P M)` (section 4.1). Its average precision is the mean
    over positives of `i / (i + number of negatives before i)`.

    Args:
        positives: similarities [..., P], descending.
        negatives: similarities [..., M], descending.
        weight: of `1 - average precision`.

    Returns:
        Tensor [..., P, M+1]: contributions of positive i with 0 to M negatives before it.
    """
    num_positives, num_negatives = _size(positives, -1), _size(negatives, -1)
    differences = tf.expand_dims(positives, -1) - tf.expand_dims(negatives, -2)  # [..., P, M]
    total = tf.reduce_sum(differences, -1, keepdims=True)
    before = tf.cumsum(differences, -1)
    before = tf.concat([tf.zeros_like(total), before], -1)  # [..., P, M+1]
    scores = (total - 2.0 * before) / (num_positives * num_negatives)
    rank = tf.range(1, num_positives + 1, dtype=positives.dtype)[:, None]
    ahead = tf.range(num_negatives + 1, dtype=positives.dtype)[None]
    return scores + weight * (1.0 - rank / (rank + ahead)) / num_positives


def best_ranking(values: tf.Tensor) -> tf.Tensor:
    """The largest sum of contributions over all rankings, by dynamic programming.

    Positive i + 1 has at least as many negatives before it as positive i:
    `V_i(m) = value(i, m) + max over m' <= m of V_{i-1}(m')`. The gradient is that of the ranking
    with the maximum.

    Args:
        values: [..., P, M+1], see `ranking_values`.

    Returns:
        Tensor [...].
    """
    size = _size(values, -1)
    reachable = tf.range(size)[None, :] <= tf.range(size)[:, None]  # [m, m']
    best, *others = tf.unstack(values, axis=-2)
    for value in others:
        earlier = tf.where(reachable, tf.expand_dims(best, -2), best.dtype.min)  # [..., m, m']
        best = value + tf.reduce_max(earlier, -1)
    return tf.reduce_max(best, -1)


def hinge(positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
    """The structural hinge loss of mAP-SSVM (section 4.1).

    `max over rankings of (score + 1 - average precision) - score of the correct ranking`

    Args:
        positives: similarities [..., P], descending.
        negatives: similarities [..., M], descending.

    Returns:
        Tensor [...], at least 0.
    """
    values = ranking_values(positives, negatives)
    # No negative before any positive: the average precision is 1.
    correct = tf.reduce_sum(tf.unstack(values, axis=-1)[0], -1)
    return best_ranking(values) - correct


def direct_loss(positives: tf.Tensor, negatives: tf.Tensor, epsilon: float = 1.0) -> tf.Tensor:
    """The loss whose gradient is the positive update of mAP-DLM (section 4.2).

    `(max of (score + epsilon (1 - average precision)) - max of score) / epsilon`. As epsilon goes
    to zero, its gradient becomes that of the expected loss (Hazan et al. 2010).

    Args:
        positives: similarities [..., P], descending.
        negatives: similarities [..., M], descending.
        epsilon: positive; 1 in the authors' code.

    Returns:
        Tensor [...], in [0, 1].
    """
    augmented, plain = (ranking_values(positives, negatives, w) for w in (epsilon, 0.0))
    return (best_ranking(augmented) - best_ranking(plain)) / epsilon


RankingLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
LOSSES: dict[str, RankingLoss] = {"hinge": hinge, "direct": direct_loss}


@keras.saving.register_keras_serializable(package="maml_baselines")
class MAPRanking(MetricLearner):
    """Compares by cosine similarity; in training each image of a task ranks all others."""

    def __init__(
        self,
        model: keras.Model,
        num_ways: int,
        num_train_ways: int | None = None,
        *,
        ranking_loss: str = "hinge",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the learner.

        Args:
            model: built Keras model, [n, ...] -> embeddings [n, D].
            num_ways: N, classes of a task.
            num_train_ways: classes of a task in training; None for `num_ways`.
            ranking_loss: "hinge" (mAP-SSVM) or "direct" (mAP-DLM).
            seed: run seed.
            **kwargs: Keras' `name`.

        Raises:
            ValueError: for another loss.
        """
        if ranking_loss not in LOSSES:
            raise ValueError(
                f"`ranking_loss` must be one of {', '.join(LOSSES)}. "
                f"Received: ranking_loss={ranking_loss!r}."
            )
        super().__init__(model, num_ways, num_train_ways, seed=seed, **kwargs)
        self.ranking_loss = ranking_loss

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """The mean loss of the rankings in training; the query loss in validation."""
        if not training:
            return super().meta_loss(episode, seed, training=False)
        support = self.embed(episode.support_x, training=True)
        query = self.embed(episode.query_x, training=True)
        numbers = as_numbers(episode.support_y)
        labels = tf.concat([numbers, as_numbers(episode.query_y)], 1)
        losses = ranking_losses(
            tf.concat([support, query], 1), labels, self.num_train_ways, LOSSES[self.ranking_loss]
        )
        one_hot = tf.one_hot(numbers, self.num_train_ways, dtype=support.dtype)
        answers = flatten_tasks(self.compare(support, one_hot, query))
        return MetaLoss(tf.reduce_mean(losses), answers, losses, InnerTrajectory([], []))

    def compare(self, support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """The mean cosine with a class minus the mean cosine with the other classes.

        This is the score of the ranking that puts the class first, see `MetricLearner.compare`.
        """
        cosines = cosine_similarity(query, support)  # [B, m, n]
        own = cosines @ (labels / tf.reduce_sum(labels, 1, keepdims=True))
        others = 1.0 - labels
        return own - cosines @ (others / tf.reduce_sum(others, 1, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {**super().get_config(), "ranking_loss": self.ranking_loss}


def ranking_losses(
    embedded: tf.Tensor, labels: tf.Tensor, num_ways: int, loss: RankingLoss = hinge
) -> tf.Tensor:
    """For each task, the mean ranking loss over its images.

    Args:
        embedded: embeddings [B, n, D], with the same number of examples of each class.
        labels: class numbers [B, n].
        num_ways: N.
        loss: function (positives, negatives) -> [...], see `hinge`.

    Returns:
        Tensor [B].
    """
    size = _size(embedded, 1)
    per_class = size // num_ways
    cosines = cosine_similarity(embedded, embedded)  # [B, n, n]
    same = labels[:, :, None] == labels[:, None, :]
    lowest = tf.constant(-2.0, cosines.dtype)  # below any cosine
    positive = tf.where(same & tf.logical_not(tf.eye(size, dtype=tf.bool)), cosines, lowest)
    positives = tf.math.top_k(positive, per_class - 1).values
    negatives = tf.math.top_k(tf.where(same, lowest, cosines), size - per_class).values
    return tf.reduce_mean(loss(positives, negatives), 1)
