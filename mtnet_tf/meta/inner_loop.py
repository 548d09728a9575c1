"""The inner loop: gradient descent on the task weights of every task at once.

The only inner loop of this code base: training, evaluation, prediction and every gradient-based
baseline call `adapt`.
"""

from typing import NamedTuple

import tensorflow as tf


class InnerTrajectory(NamedTuple):
    """What an inner loop went through.

    Attributes:
      weights: list of `num_inner_steps + 1` lists of fast weights, the initial ones first.
      support_losses: list of [B] tensors, the support loss BEFORE each inner step.
    """

    weights: list
    support_losses: list

    @property
    def fast_weights(self):
        """The weights after the last inner step, tensors [B, *variable.shape]."""
        return self.weights[-1]


def initial_fast_weights(variables, num_tasks):
    """One copy of each variable per task.

    Args:
      variables: list of Keras variables.
      num_tasks: B.

    Returns:
      List of tensors [B, *variable.shape].
    """
    values = [tf.convert_to_tensor(v.value) for v in variables]
    return [tf.broadcast_to(v, tf.concat([[num_tasks], tf.shape(v)], 0)) for v in values]


def adapt(
    task_losses,
    weights,
    *,
    num_inner_steps,
    step_size=None,
    update_rule=None,
    masks=None,
    first_order=False,
):
    """Gradient descent within each task, restricted by masks.

    One step of eq. 8 (eq. 4 where the mask is None), for all tasks at once:
    `weights -= step_size * mask * gradient`. Tasks are independent, so the gradient of the sum of
    their losses holds each task's own gradient. Call it under an outer `tf.GradientTape` for the
    meta-gradient.

    Args:
      task_losses: function (fast weights, list of [B, ...]; number of the step, Python int) ->
        support losses [B].
      weights: initial fast weights, list of [B, ...].
      num_inner_steps: number of steps, int >= 0.
      step_size: alpha, in units of weight^2 per unit of the support loss.
      update_rule: `UpdateRule` in place of the descent by `step_size`, None for that.
      masks: function from the step's number to a list with, for each weight, a tensor that
        broadcasts against it, or None; or None for no masks at all.
      first_order: leaves out second derivatives: the gradient is a constant for the outer tape.
        A bool, or a scalar bool tensor where it changes in mid-training.

    Returns:
      `InnerTrajectory`.
    """
    weights = list(weights)
    trajectory = InnerTrajectory([weights], [])
    state = None
    for step in range(num_inner_steps):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            losses = task_losses(weights, step)  # [B]
        gradients = tape.gradient(losses, weights, unconnected_gradients="zero")
        gradients = [_constant_if(first_order, g) for g in gradients]
        step_masks = masks(step) if masks else [None] * len(weights)
        masked = [g if m is None else m * g for g, m in zip(gradients, step_masks, strict=True)]
        if update_rule is None:
            weights = [w - step_size * g for w, g in zip(weights, masked, strict=True)]
        else:
            weights, state = update_rule.update(step, weights, masked, losses, state)
        trajectory.weights.append(weights)
        trajectory.support_losses.append(losses)
    return trajectory


def _constant_if(first_order, gradient):
    """The gradient, as a constant for the outer tape where `first_order`."""
    if isinstance(first_order, bool):
        return tf.stop_gradient(gradient) if first_order else gradient
    return tf.where(first_order, tf.stop_gradient(gradient), gradient)
