"""What metric methods share: embed support and query, compare them, no gradient step."""

import abc
import functools

import tensorflow as tf

from mtnet_tf import EpisodicLearner
from mtnet_tf.meta import (
    InnerTrajectory,
    MetaLoss,
    count_tasks,
    flatten_tasks,
    predict,
    task_losses,
)


class MetricLearner(EpisodicLearner):
    """Abstract: a query is answered by comparing its embedding with those of the support set.

    As everywhere in this package, support and query set are normalised each by its own
    statistics, or, inductively, the query set by those of the support set.
    """

    def __init__(self, model, num_ways, num_train_ways=None, *, seed=0, **kwargs):
        """Creates the learner.

        Args:
          model: built Keras model, [n, ...] -> embeddings [n, D].
          num_ways: N, classes of a task.
          num_train_ways: classes of a task in training, None for as many.
          seed: run seed.
          **kwargs: Keras' `name`.
        """
        super().__init__(model, seed, **kwargs)
        self.num_ways = num_ways
        self.num_train_ways = num_train_ways or num_ways

    @abc.abstractmethod
    def compare(self, support, labels, query):
        """Answers to queries.

        Args:
          support: embeddings [B, n, D].
          labels: one-hot [B, n, N].
          query: embeddings [B, m, D].

        Returns:
          Logits [B, m, N].
        """

    def embed(self, x, training=False, statistics=None):
        """[B, n, ...] -> embeddings [B, n, D]."""
        folded = predict(self.model, [], [], x, training, statistics)
        return tf.reshape(folded, [count_tasks(x), tf.shape(x)[1], folded.shape[-1]])

    def answer(self, support, num_ways, x, statistics=None, *, training=False):
        """Logits [B*m, N] of queries [B, m, ...] given support sets (x, y)."""
        support_x, support_y = support
        embedded = self.embed(support_x, training)
        labels = tf.one_hot(support_y, num_ways, dtype=embedded.dtype)
        return flatten_tasks(self.compare(embedded, labels, self.embed(x, training, statistics)))

    def meta_loss(self, episode, seed, *, training):
        """The loss of the answers to the query sets, a `MetaLoss`."""
        ways = self.num_train_ways if training else self.num_ways
        support = (episode.support_x, episode.support_y)
        answers = self.answer(support, ways, episode.query_x, training=training)
        num_tasks = count_tasks(episode.query_x)
        losses = task_losses(self.task_loss, flatten_tasks(episode.query_y), answers, num_tasks)
        return MetaLoss(tf.reduce_mean(losses), answers, losses, InnerTrajectory([], []))

    def predictors(self, support, num_inner_steps, seed):
        """Chance before the support set is seen, then the same answers after any step."""
        answer = functools.partial(self.answer, support, self.num_ways)
        return [self._guess, *[answer] * num_inner_steps]

    def _guess(self, x, statistics=None):
        num_examples = tf.size(x[..., 0, 0, 0])
        return tf.zeros([num_examples, self.num_ways], self.model.outputs[0].dtype)

    def get_config(self):
        """Arguments to create the learner again."""
        ways = {"num_ways": self.num_ways, "num_train_ways": self.num_train_ways}
        return {**super().get_config(), **ways}
