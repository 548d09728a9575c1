"""Reptile (Nichol et al. 2018, algorithm 2): moves the initial weights towards the adapted ones.

`weights += meta_learning_rate * mean over tasks of (adapted weights - weights)`

Deviations: inner steps are gradient descent (the authors: Adam without momentum, for images), and
minibatches have the size of a support set.
"""

import functools
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, seeds
from mtnet_tf.experiments import Settings, build_learner
from mtnet_tf.meta import MetaLoss, count_tasks, query_loss
from mtnet_tf.tasks import Episode, TaskDistribution


@keras.saving.register_keras_serializable(package="maml_baselines")
class Reptile(MetaLearner):
    """`W += meta_learning_rate * mean over tasks of (adapted W - W)` (algorithm 2).

    Reptile has no query sets: in training, the support and query examples of a task are one set,
    and each inner step uses another minibatch of it. A minibatch is as large as a support set, so
    step sizes have the same unit in evaluation. A task moves its weights by the sum of its
    gradients, which is the first-order gradient of the sum of its losses. Normalisation offsets,
    which tasks do not adapt, are learned from the same gradient.
    """

    has_planned_length = True  # because the meta learning rate falls to zero

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Creates the learner.

        Args:
            *args: arguments of `MetaLearner`.
            **kwargs: further arguments of `MetaLearner`.

        Raises:
            ValueError: if there is no inner step.
        """
        super().__init__(*args, **kwargs)
        if self.num_inner_steps < 1:
            raise ValueError(
                "`num_inner_steps` must be at least 1: Reptile learns from the adapted weights. "
                f"Received: num_inner_steps={self.num_inner_steps}."
            )

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """`step_size * sum over inner steps of the loss before the step` in training, first order.

        Its gradient is the mean over tasks of `W - adapted W`. The predictions are those of the
        adapted networks for query examples, which they have seen. In validation: the query loss.
        """
        if not training:
            return super().meta_loss(episode, seed, training=False)
        masks = self.masks(count_tasks(episode.support_x), seed)
        options = {"num_inner_steps": self.num_inner_steps, "masks": masks, "training": True}
        support = functools.partial(minibatch, episode, seed)
        trajectory = self.adapt_weights(support, **options)
        losses = tf.stack(trajectory.support_losses)  # [S, B]
        value = self.step_size * tf.reduce_sum(tf.reduce_mean(losses, 1))
        args = self.model, self.task_weights, self.task_loss, episode, trajectory
        return query_loss(*args)._replace(value=value)


def minibatch(episode: Episode, seed: tf.Tensor, step: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The examples of an inner step: consecutive parts of the shuffled support and query sets.

    Args:
        episode: of n support and m query examples per task.
        seed: stateless seed of the order, int32 [2].
        step: number of the inner step, from 0.

    Returns:
        Pair (x [B, n, ...], y [B, n, ...]).
    """
    size = episode.support_x.shape[1]
    halves = (episode.support_x, episode.query_x), (episode.support_y, episode.query_y)
    total = size + episode.query_x.shape[1]
    numbers = tf.random.stateless_uniform(
        [total],
        seed,
        None,  # pyright: ignore[reportArgumentType]
        None,
        tf.int32,
        alg=seeds.ALGORITHM,
    )
    places = [(step * size + i) % total for i in range(size)]
    chosen = tf.gather(tf.argsort(numbers), places)
    x, y = (tf.gather(tf.concat(half, 1), chosen, axis=1) for half in halves)
    return x, y


def build(settings: Settings, tasks: TaskDistribution) -> Reptile:
    """Builds the MT-net paper's network with Reptile; the meta learning rate falls to zero."""
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings.meta_learning_rate, max(1, settings.num_meta_iterations), end_learning_rate=0.0
    )
    optimizer = keras.optimizers.SGD(schedule)  # pyright: ignore[reportArgumentType]
    return build_learner(settings, tasks, kind=Reptile, optimizer=optimizer)
