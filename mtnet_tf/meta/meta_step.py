"""The meta-loss and its gradient: a GradientTape around the inner loop's GradientTape.

Data flow of one meta-step, all tasks at once:

    meta-parameters -> initial fast weights [B, ...] -> adapt on the support sets (eq. 4, 8)
                    -> predictions on the query sets -> loss per task [B] -> mean (eq. 5, 13)
"""

from typing import NamedTuple

import tensorflow as tf

from mtnet_tf.layers import FastWeightScope
from mtnet_tf.meta.inner_loop import InnerTrajectory, adapt, initial_fast_weights
from mtnet_tf.meta.losses import task_losses
from mtnet_tf.meta.per_task import predict_per_task


class MetaLoss(NamedTuple):
    """The result of a forward pass through the meta-step.

    Attributes:
      value: scalar, mean over tasks of the query loss after adaptation.
      query_predictions: [B*m, ...], flattened.
      query_losses: [B].
      trajectory: `InnerTrajectory`.
    """

    value: tf.Tensor
    query_predictions: tf.Tensor
    query_losses: tf.Tensor
    trajectory: InnerTrajectory


def flatten_tasks(x):
    """[B, n, ...] -> [B*n, ...]."""
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))


def count_tasks(x):
    """B of a tensor [B, ...]: an int where it is known when traced, else a tensor."""
    return x.shape[0] or tf.shape(x)[0]


def predict(model, task_weights, weights, x, training=True, statistics=None):
    """Predictions of each task's own network.

    All tasks at once, flattened into the batch, if every task weight sits in a TW layer; else one
    task after another (`predict_per_task`), with the same numbers.

    Args:
      model: Keras model, [n, ...] -> [n, ...].
      task_weights: list of `TaskWeight`.
      weights: their fast weights, list of [B, *variable.shape].
      x: [B, n, ...].
      training: passed to the model.
      statistics: `SetStatistics` to record or to use, None for the set's own.

    Returns:
      Tensor [B*n, ...], flattened.
    """
    if not all(w.flattened for w in task_weights):
        return flatten_tasks(
            predict_per_task(model, task_weights, weights, x, training, statistics)
        )
    num_tasks = count_tasks(x)
    values = zip([w.variable for w in task_weights], weights, strict=True)
    with FastWeightScope(values, num_tasks, statistics):
        return model(flatten_tasks(x), training=training)


def adapt_to_support(
    model, task_weights, loss, support, *, num_inner_steps, masks, training=True, **options
):
    """Runs the inner loop on support sets.

    Args:
      model: Keras model.
      task_weights: list of `TaskWeight`.
      loss: see `task_losses`.
      support: pair (x [B, n, ...], y [B, n, ...]); or a function from a step's number to the
        pair that it sees.
      num_inner_steps: number of steps.
      masks: see `adapt`.
      training: passed to the model.
      **options: `step_size`, `update_rule` and `first_order` of `adapt`.

    Returns:
      `InnerTrajectory`.
    """
    support_of = support if callable(support) else lambda step: support
    num_tasks = count_tasks(support_of(0)[0])

    def support_losses(weights, step):
        x, y = support_of(step)
        predictions = predict(model, task_weights, weights, x, training)
        return task_losses(loss, flatten_tasks(y), predictions, num_tasks)

    weights = initial_fast_weights([w.variable for w in task_weights], num_tasks)
    return adapt(support_losses, weights, num_inner_steps=num_inner_steps, masks=masks, **options)


def meta_loss(model, task_weights, loss, episode, *, training=True, **options):
    """The query loss of networks adapted to the support sets (eq. 5 and 13).

    The paper sums over the tasks of a meta-batch; as in the authors' code this is their mean.

    Args:
      model: Keras model.
      task_weights: list of `TaskWeight`.
      loss: see `task_losses`.
      episode: `Episode`.
      training: passed to the model.
      **options: see `adapt_to_support`.

    Returns:
      `MetaLoss`.
    """
    support = (episode.support_x, episode.support_y)
    options["training"] = training
    trajectory = adapt_to_support(model, task_weights, loss, support, **options)
    return query_loss(model, task_weights, loss, episode, trajectory, training=training)


def query_loss(model, task_weights, loss, episode, trajectory, *, training=True):
    """The loss on the query sets of networks that have been adapted, a `MetaLoss`.

    Args:
      model: Keras model.
      task_weights: list of `TaskWeight`.
      loss: see `task_losses`.
      episode: `Episode`, whose queries are asked.
      trajectory: `InnerTrajectory`.
      training: passed to the model.
    """
    predictions = predict(model, task_weights, trajectory.fast_weights, episode.query_x, training)
    num_tasks = count_tasks(episode.query_x)
    losses = task_losses(loss, flatten_tasks(episode.query_y), predictions, num_tasks)
    return MetaLoss(tf.reduce_mean(losses), predictions, losses, trajectory)


def meta_gradients(
    model, task_weights, meta_parameters, loss, episode, *, scale=tf.identity, **options
):
    """The meta-loss, plus the model's regularisers, and the gradient of every meta-parameter.

    Args:
      model: Keras model.
      task_weights: list of `TaskWeight`.
      meta_parameters: list of variables: W, b, T, mask logits, normalisation.
      loss: see `task_losses`.
      episode: `Episode`.
      scale: an optimizer's `scale_loss`, against underflow in half precision.
      **options: see `adapt_to_support`.

    Returns:
      Pair (`MetaLoss`, list of gradients of the scaled value).
    """
    return value_and_gradients(
        lambda: meta_loss(model, task_weights, loss, episode, **options),
        model,
        meta_parameters,
        scale,
    )


def value_and_gradients(compute, model, meta_parameters, scale=tf.identity):
    """A meta-loss, plus the model's regularisers, and the gradient of every meta-parameter.

    Args:
      compute: function without arguments -> `MetaLoss`.
      model: Keras model, whose `losses` are added.
      meta_parameters: list of variables.
      scale: an optimizer's `scale_loss`, against underflow in half precision.

    Returns:
      Pair (`MetaLoss`, list of gradients of the scaled value).
    """
    with tf.GradientTape() as tape:
        result = compute()
        value = tf.add_n([result.value, *model.losses])
        scaled = scale(value)
    variables = [v.value for v in meta_parameters]
    gradients = tape.gradient(scaled, variables, unconnected_gradients="zero")
    return result._replace(value=value), gradients
