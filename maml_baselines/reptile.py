"""Reptile (Nichol et al. 2018): move the initial weights towards the adapted ones."""

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, experiment
from mtnet_tf.meta_step import count_tasks


@keras.saving.register_keras_serializable(package="maml_baselines")
class Reptile(MetaLearner):
    """`W += meta_learning_rate * mean over tasks of (adapted W - W)` (algorithm 2, batched).

    The inner loop takes a task's support and query pictures together, as Reptile knows no query
    set in training. What it moves by is the sum of its gradients, which is the first-order
    gradient of the losses along its way: so normalisation offsets, which no task adapts, are
    learned by the same rule.

    Deviation: inner steps are plain gradient descent on all examples, where the authors take
    minibatches and, for pictures, Adam without momentum.
    """

    def meta_loss(self, episode, seed, *, training):
        """`step_size * sum over inner steps of the loss before it`, first order, in training.

        Its gradient is the mean over tasks of W - adapted W. In validation the query loss.
        """
        result = super().meta_loss(episode, seed, training=training)
        if not training:
            return result
        halves = (episode.support_x, episode.query_x), (episode.support_y, episode.query_y)
        together = tuple(tf.concat(half, 1) for half in halves)
        masks = self.masks(count_tasks(together[0]), seed)
        options = {"num_inner_steps": self.num_inner_steps, "masks": masks, "training": True}
        losses = tf.stack(self.adapt_weights(together, **options).support_losses)  # [S, B]
        return result._replace(value=self.step_size * tf.reduce_sum(tf.reduce_mean(losses, 1)))


def build(settings, tasks):
    """The paper's network; the meta learning rate falls linearly to nothing."""
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings["meta_lr"], max(1, settings["metatrain_iterations"]), end_learning_rate=0.0
    )
    optimizer = keras.optimizers.SGD(schedule)
    return experiment.build_learner(settings, tasks, kind=Reptile, optimizer=optimizer)
