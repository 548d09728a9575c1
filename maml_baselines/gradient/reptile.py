"""Reptile (Nichol et al. 2018, algorithm 2): moves the initial weights towards the adapted ones.

`weights += meta_learning_rate * mean over tasks of (adapted weights - weights)`

Deviations: inner steps are gradient descent (the authors: Adam without momentum, for images), and
minibatches have the size of a support set.
"""

from collections.abc import Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, seeds
from mtnet_tf.experiments import Settings, build_learner
from mtnet_tf.meta import (
    InnerTrajectory,
    MetaLoss,
    StepSize,
    UpdateRule,
    adapt,
    count_tasks,
    initial_fast_weights,
    query_loss,
    set_losses,
)
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
    supports_sample_weight = False  # each step uses another minibatch

    def __init__(
        self,
        model: keras.Model,
        step_size: StepSize | None = None,
        num_inner_steps: int = 1,
        *,
        first_order: bool = False,
        redraw_masks: bool = False,
        adapt_layers: str | keras.layers.Layer | Sequence[str | keras.layers.Layer] | None = None,
        update_rule: UpdateRule | None = None,
        check_derivatives: bool = True,
        task_chunk: int | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the learner. The arguments are those of `MetaLearner`.

        Args:
            model: built Keras model with TW layers.
            step_size: alpha, one positive number or a variable.
            num_inner_steps: gradient steps within a task, at least 1.
            first_order: omits second derivatives. Algorithm 2 requires True.
            redraw_masks: draws new masks at each inner step instead of once per task.
            adapt_layers: the layers that adapt; None for the TW layers.
            update_rule: `GradientDescent` in place of `step_size`, for a learner that is loaded.
            check_derivatives: as in `MetaLearner`.
            task_chunk: see `MetaLearner`.
            seed: run seed of tasks and masks.
            **kwargs: Keras' `name`.

        Raises:
            ValueError: if there is no inner step, more than one step size, or another update rule;
                and as for `MetaLearner`.
        """
        super().__init__(
            model,
            step_size,
            num_inner_steps,
            first_order=first_order,
            redraw_masks=redraw_masks,
            adapt_layers=adapt_layers,
            update_rule=update_rule,
            check_derivatives=check_derivatives,
            task_chunk=task_chunk,
            seed=seed,
            **kwargs,
        )
        if self.num_inner_steps < 1:
            raise ValueError(
                "`num_inner_steps` must be at least 1: Reptile learns from the adapted weights. "
                f"Received: num_inner_steps={self.num_inner_steps}."
            )
        if isinstance(self.step_size, list | keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                "`step_size` must be one number or variable for all weights and steps. "
                f"Received: step_size={self.step_size}."
            )

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """`step_size * sum over inner steps of the loss before the step` in training, first order.

        Its gradient is the mean over tasks of `W - adapted W`. The predictions are those of the
        adapted networks for query examples, which they have seen. In validation: the query loss.
        """
        if not training:
            return super().meta_loss(episode, seed, training=False)
        trajectory = self.adapt_to_minibatches(episode, seed)
        losses = tf.stack(trajectory.support_losses)  # [S, B]
        value = cast(float, self.step_size) * tf.reduce_sum(tf.reduce_mean(losses, 1))
        args = self.model, self.task_weights, self.task_loss, episode, trajectory
        return query_loss(*args).with_value(value)

    def adapt_to_minibatches(self, episode: Episode, seed: tf.Tensor) -> InnerTrajectory:
        """Runs the inner loop, in which each step uses another minibatch of both sets.

        Args:
            episode: of B tasks.
            seed: stateless seed of the masks and of the order, int32 [2].
        """
        task_weights, num_tasks = self.task_weights, count_tasks(episode.support_x)

        def losses(weights: list[tf.Tensor], step: int) -> tf.Tensor:
            x, y = minibatch(episode, seed, step)
            return set_losses(self.model, task_weights, self.task_loss, weights, x, y)[0]

        initial = initial_fast_weights([w.variable for w in task_weights], num_tasks)
        masks = self.masks(num_tasks, seed, part=episode.part)
        options = self.inner_options(self.num_inner_steps, masks, training=True)
        return adapt(losses, initial, **options)


def minibatch(episode: Episode, seed: tf.Tensor, step: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The examples of an inner step: consecutive parts of the shuffled support and query sets.

    Args:
        episode: of n support and m query examples per task.
        seed: stateless seed of the order, int32 [2].
        step: number of the inner step, from 0.

    Returns:
        Pair (x [B, n, ...], y [B, n, ...]).
    """
    size = cast(int, episode.support_y.shape[1])
    total = size + cast(int, episode.query_y.shape[1])
    numbers = seeds.full_integers([total], seed)
    places = [(step * size + i) % total for i in range(size)]
    chosen = tf.gather(tf.argsort(numbers), places)

    def choose(support: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.concat([support, query], 1), chosen, axis=1)

    x = tf.nest.map_structure(choose, episode.support_x, episode.query_x)
    return x, choose(episode.support_y, episode.query_y)


def build(settings: Settings, tasks: TaskDistribution) -> Reptile:
    """Builds the MT-net paper's network with Reptile; the meta learning rate falls to zero."""
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings.meta_learning_rate, max(1, settings.num_meta_iterations), end_learning_rate=0.0
    )
    optimizer = keras.optimizers.SGD(schedule)  # pyright: ignore[reportArgumentType]
    return build_learner(settings, tasks, kind=Reptile, optimizer=optimizer)
