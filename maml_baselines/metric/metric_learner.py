"""Common part of the metric methods: they compare embeddings and take no inner step."""

import abc
import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf import EpisodicLearner
from mtnet_tf.adaptation import ModelInputs
from mtnet_tf.layers import SetStatistics, validate_integer
from mtnet_tf.meta import (
    InnerTrajectory,
    MetaLoss,
    count_tasks,
    flatten_tasks,
    predict,
    task_losses,
    unflatten_tasks,
)
from mtnet_tf.tasks import Episode, Part, Role

# Function (query examples [B, m, ...], statistics) -> predictions [B*m, N].
Predictor = Callable[..., tf.Tensor]


def as_numbers(labels: tf.Tensor) -> tf.Tensor:
    """Class numbers as int32 [B, n].

    Args:
        labels: class numbers of any dtype, [B, n] or [B, n, 1]; or one-hot, [B, n, N].
    """
    if labels.shape.rank == 3 and labels.shape[-1] != 1:
        return tf.argmax(labels, -1, tf.int32)
    labels = tf.cast(labels, tf.int32)
    return tf.squeeze(labels, -1) if labels.shape.rank == 3 else labels


class MetricLearner(EpisodicLearner):
    """Abstract learner that compares embeddings of query examples with those of the support set.

    As everywhere in this package, the support set and the query set are each normalised with their
    own statistics. For the inductive score, the query set is normalised with the statistics of the
    support set.
    """

    def __init__(
        self,
        model: keras.Model,
        num_ways: int,
        num_train_ways: int | None = None,
        *,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the learner.

        Args:
            model: built Keras model, [n, ...] -> embeddings [n, D].
            num_ways: N, classes of a task.
            num_train_ways: classes of a task in training; None for `num_ways`.
            seed: run seed.
            **kwargs: Keras' `name`.
        """
        super().__init__(model, seed, **kwargs)
        self.num_ways = validate_integer("num_ways", num_ways, 1)
        ways = num_ways if num_train_ways is None else num_train_ways
        self.num_train_ways = validate_integer("num_train_ways", ways, 1)

    @abc.abstractmethod
    def compare(self, support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """Predicts the classes of query examples from embeddings.

        Args:
            support: embeddings [B, n, D].
            labels: one-hot [B, n, N].
            query: embeddings [B, m, D].

        Returns:
            Logits [B, m, N].
        """

    def embed(
        self, x: tf.Tensor, training: bool = False, statistics: SetStatistics | None = None
    ) -> tf.Tensor:
        """Embeds examples: [B, n, ...] -> [B, n, D].

        Args:
            x: examples [B, n, ...].
            training: passed to the model.
            statistics: to record or to use in normalisation; None for those of each set.
        """
        return unflatten_tasks(predict(self.model, [], [], x, training, statistics), x)

    def answer(
        self,
        support: tuple[tf.Tensor, tf.Tensor],
        num_ways: int,
        x: tf.Tensor,
        statistics: SetStatistics | None = None,
        *,
        training: bool = False,
    ) -> tf.Tensor:
        """Predicts the classes of query examples.

        Args:
            support: pair (x [B, n, ...], class numbers [B, n]).
            num_ways: N.
            x: query examples [B, m, ...].
            statistics: as in `embed`, for the query examples.
            training: passed to the model.

        Returns:
            Logits [B*m, N], flattened.
        """
        embedded = self.embed(support[0], training)
        labels = tf.one_hot(as_numbers(support[1]), num_ways, dtype=embedded.dtype)
        return flatten_tasks(self.compare(embedded, labels, self.embed(x, training, statistics)))

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """The mean over tasks of the query loss."""
        ways = self.num_train_ways if training else self.num_ways
        support = (episode.support_x, episode.support_y)
        answers = self.answer(support, ways, episode.query_x, training=training)
        num_tasks = count_tasks(episode.query_x)
        losses = task_losses(self.task_loss, flatten_tasks(episode.query_y), answers, num_tasks)
        return MetaLoss(tf.reduce_mean(losses), answers, losses, InnerTrajectory([], []))

    def prediction_shape(self, role: Role = "test") -> tuple[int | None, ...]:
        """(None, N), with the number of classes of the tasks of this role."""
        return None, self.num_train_ways if role == "train" else self.num_ways

    def predictors(
        self,
        support: tuple[tf.Tensor, tf.Tensor],
        num_inner_steps: int,
        seed: tf.Tensor,
        part: Part | None = None,
    ) -> list[Predictor]:
        """Equal logits before learning, then the same predictions after any number of steps."""
        answer = functools.partial(self.answer, support, self.num_ways)
        return [self._guess, *[answer] * num_inner_steps]

    def _guess(self, x: tf.Tensor, statistics: SetStatistics | None = None) -> tf.Tensor:
        num_examples = tf.reduce_prod(tf.shape(tf.nest.flatten(x)[0])[:2])
        return tf.zeros([num_examples, self.num_ways], ModelInputs(self.model).output_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        ways = {"num_ways": self.num_ways, "num_train_ways": self.num_train_ways}
        return {**super().get_config(), **ways}
