"""mAP-SSVM and mAP-DLM (Triantafillou et al. 2017): learning for mean average precision.

Every picture of a batch ranks all others; its own class should come first. The most violating
ranking is found by dynamic programming over how many negatives precede each positive.
"""

import keras
import tensorflow as tf

from maml_baselines.metric.matching import cosine_similarity
from maml_baselines.metric.metric_learner import MetricLearner
from mtnet_tf.meta import InnerTrajectory, MetaLoss, flatten_tasks


def ranking_values(positives, negatives, weight=1.0):
    """What each positive adds to `score + weight * (1 - average precision)`, by what precedes it.

    With p_ij = 1 where positive i precedes negative j and -1 else, a ranking's score is
    `sum_ij p_ij (s_i - s_j) / (P M)` (section 4.1), and its average precision the mean over
    positives of i / (i + negatives before i).

    Args:
      positives: similarities [..., P], descending.
      negatives: [..., M], descending.
      weight: of the loss of a ranking.

    Returns:
      Tensor [..., P, M+1], for 0 to M negatives before positive i.
    """
    num_positives, num_negatives = positives.shape[-1], negatives.shape[-1]
    differences = positives[..., :, None] - negatives[..., None, :]  # [..., P, M]
    total = tf.reduce_sum(differences, -1, keepdims=True)
    before = tf.cumsum(differences, -1)
    before = tf.concat([tf.zeros_like(total), before], -1)  # [..., P, M+1]
    scores = (total - 2.0 * before) / (num_positives * num_negatives)
    rank = tf.range(1, num_positives + 1, dtype=positives.dtype)[:, None]
    ahead = tf.range(num_negatives + 1, dtype=positives.dtype)[None]
    return scores + weight * (1.0 - rank / (rank + ahead)) / num_positives


def best_ranking(values):
    """The largest sum of values that a ranking has, by dynamic programming.

    Positive i + 1 has at least as many negatives before it as positive i:
    `V_i(m) = value(i, m) + max over m' <= m of V_{i-1}(m')`. The maximum's gradient is that of the
    ranking that attains it.

    Args:
      values: [..., P, M+1], see `ranking_values`.

    Returns:
      Tensor [...].
    """
    size = values.shape[-1]
    reachable = tf.range(size)[None, :] <= tf.range(size)[:, None]  # [m, m']
    best = values[..., 0, :]
    for i in range(1, values.shape[-2]):
        earlier = tf.where(reachable, best[..., None, :], best.dtype.min)
        best = values[..., i, :] + tf.reduce_max(earlier, -1)
    return tf.reduce_max(best, -1)


def hinge(positives, negatives):
    """The structural hinge loss: the most violating ranking's value less the right one's score.

    Args:
      positives: similarities [..., P], descending.
      negatives: [..., M], descending.

    Returns:
      Tensor [...], at least 0.
    """
    values = ranking_values(positives, negatives)
    right = tf.reduce_sum(values[..., 0], -1)  # no negative before any positive; precision 1
    return best_ranking(values) - right


def direct_loss(positives, negatives, epsilon=1.0):
    """What direct loss minimisation goes down (section 4.2), its positive update.

    `(max of score + epsilon (1 - average precision) - max of score) / epsilon`: its gradient is
    that of the expected loss as epsilon goes to zero (Hazan et al. 2010).

    Args:
      positives: similarities [..., P], descending.
      negatives: [..., M], descending.
      epsilon: positive; 1 in the authors' code.

    Returns:
      Tensor [...], in [0, 1].
    """
    augmented, plain = (ranking_values(positives, negatives, w) for w in (epsilon, 0.0))
    return (best_ranking(augmented) - best_ranking(plain)) / epsilon


LOSSES = {"hinge": hinge, "direct": direct_loss}


@keras.saving.register_keras_serializable(package="maml_baselines")
class MAPRanking(MetricLearner):
    """Cosine similarities, each picture of a task the query of the others."""

    def __init__(self, *args, ranking_loss="hinge", **kwargs):
        """Creates the learner.

        Args:
          *args: as of `MetricLearner`.
          ranking_loss: "hinge" (mAP-SSVM) or "direct" (mAP-DLM).
          **kwargs: as of `MetricLearner`.

        Raises:
          ValueError: for another loss.
        """
        if ranking_loss not in LOSSES:
            raise ValueError(
                f"`ranking_loss` must be one of {', '.join(LOSSES)}. Received: {ranking_loss!r}."
            )
        super().__init__(*args, **kwargs)
        self.ranking_loss = ranking_loss

    def meta_loss(self, episode, seed, *, training):
        """The mean loss of the rankings in training; in validation that of the answers."""
        if not training:
            return super().meta_loss(episode, seed, training=False)
        pictures = (episode.support_x, episode.query_x)
        support, query = (self.embed(x, training=True) for x in pictures)
        labels = tf.concat([episode.support_y, episode.query_y], 1)
        losses = ranking_losses(
            tf.concat([support, query], 1), labels, self.num_train_ways, LOSSES[self.ranking_loss]
        )
        one_hot = tf.one_hot(episode.support_y, self.num_train_ways, dtype=support.dtype)
        answers = flatten_tasks(self.compare(support, one_hot, query))
        return MetaLoss(tf.reduce_mean(losses), answers, losses, InnerTrajectory([], []))

    def compare(self, support, labels, query):
        """The score of the ranking that puts a class first: its mean cosine less the others'."""
        cosines = cosine_similarity(query, support)  # [B, m, n]
        own = cosines @ (labels / tf.reduce_sum(labels, 1, keepdims=True))
        others = 1.0 - labels
        return own - cosines @ (others / tf.reduce_sum(others, 1, keepdims=True))

    def get_config(self):
        """Arguments to create the learner again."""
        return {**super().get_config(), "ranking_loss": self.ranking_loss}


def ranking_losses(embedded, labels, num_ways, loss=hinge):
    """The mean loss of the rankings of each task.

    Args:
      embedded: [B, n, D], as many of each class.
      labels: ints [B, n].
      num_ways: N.
      loss: function (positives, negatives) -> [...], see `hinge`.

    Returns:
      Tensor [B].
    """
    size = embedded.shape[1]
    per_class = size // num_ways
    cosines = cosine_similarity(embedded, embedded)  # [B, n, n]
    same = labels[:, :, None] == labels[:, None, :]
    lowest = tf.constant(-2.0, cosines.dtype)  # below any cosine
    positive = tf.where(same & ~tf.eye(size, dtype=tf.bool), cosines, lowest)
    positives = tf.math.top_k(positive, per_class - 1).values
    negatives = tf.math.top_k(tf.where(same, lowest, cosines), size - per_class).values
    return tf.reduce_mean(loss(positives, negatives), 1)
