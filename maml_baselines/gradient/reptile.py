"""Reptile (Nichol et al. 2018): move the initial weights towards the adapted ones."""

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, seeds
from mtnet_tf.experiments import build_learner
from mtnet_tf.meta import adapt, count_tasks, initial_fast_weights, query_loss, set_losses


@keras.saving.register_keras_serializable(package="maml_baselines")
class Reptile(MetaLearner):
    """`W += meta_learning_rate * mean over tasks of (adapted W - W)` (algorithm 2, batched).

    In training a task's support and query pictures are one set, as Reptile knows no queries, of
    which each inner step sees another minibatch, as large as a support set: so a step has the same
    unit in evaluation. What a task moves by is the sum of its gradients, which is the first-order
    gradient of the losses along its way: normalisation offsets, which no task adapts, are learned
    by the same rule.

    Deviation: inner steps are plain gradient descent, where the authors take, for pictures, Adam
    without momentum.
    """

    has_planned_length = True  # of the meta learning rate

    def __init__(self, *args, **kwargs):
        """Creates the learner, see `MetaLearner`. Raises ValueError without an inner step."""
        super().__init__(*args, **kwargs)
        if self.num_inner_steps < 1:
            raise ValueError(
                "`num_inner_steps` must be at least 1: Reptile learns from where "
                f"the steps lead. Received: num_inner_steps={self.num_inner_steps}."
            )

    def meta_loss(self, episode, seed, *, training):
        """`step_size * sum over inner steps of the loss before it`, first order, in training.

        Its gradient is the mean over tasks of W - adapted W. The predictions are those of the
        adapted networks on queries that they have seen. In validation the query loss.
        """
        if not training:
            return super().meta_loss(episode, seed, training=False)
        trajectory = self.adapt_to_minibatches(episode, seed)
        losses = tf.stack(trajectory.support_losses)  # [S, B]
        value = self.step_size * tf.reduce_sum(tf.reduce_mean(losses, 1))
        args = self.model, self.task_weights, self.task_loss, episode, trajectory
        return query_loss(*args).with_value(value)

    def adapt_to_minibatches(self, episode, seed):
        """Runs the inner loop, where each step sees another minibatch of support and query set.

        Args:
            episode: `Episode` of B tasks.
            seed: stateless seed of the masks and of the order, int32 [2].

        Returns:
            `InnerTrajectory`.
        """
        task_weights, num_tasks = self.task_weights, count_tasks(episode.support_x)

        def losses(weights, step):
            x, y = minibatch(episode, seed, step)
            return set_losses(self.model, task_weights, self.task_loss, weights, x, y)[0]

        initial = initial_fast_weights([w.variable for w in task_weights], num_tasks)
        masks = self.masks(num_tasks, seed)
        options = self.inner_options(self.num_inner_steps, masks, training=True)
        return adapt(losses, initial, **options)


def minibatch(episode, seed, step):
    """What an inner step sees of support and query set, shuffled and gone through in turn.

    Args:
      episode: `Episode` of n support and m query examples.
      seed: stateless seed of the order, int32 [2].
      step: its number, Python int.

    Returns:
      Pair (x [B, n, ...], y [B, n, ...]).
    """
    size = episode.support_x.shape[1]
    halves = (episode.support_x, episode.query_x), (episode.support_y, episode.query_y)
    total = size + episode.query_x.shape[1]
    numbers = tf.random.stateless_uniform([total], seed, None, None, tf.int32, alg=seeds.ALGORITHM)
    places = [(step * size + i) % total for i in range(size)]
    chosen = tf.gather(tf.argsort(numbers), places)
    x, y = (tf.gather(tf.concat(half, 1), chosen, axis=1) for half in halves)
    return x, y


def build(settings, tasks):
    """The paper's network; the meta learning rate falls linearly to nothing."""
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings.meta_learning_rate, max(1, settings.num_meta_iterations), end_learning_rate=0.0
    )
    optimizer = keras.optimizers.SGD(schedule)
    return build_learner(settings, tasks, kind=Reptile, optimizer=optimizer)
