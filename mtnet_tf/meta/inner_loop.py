"""The inner loop: an update rule applied to the task weights of all tasks at once.

This is the only inner loop of the code base. Training, evaluation, prediction and every
gradient-based baseline call `adapt`.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mtnet_tf.layers import SharedWeight, of_tasks
from mtnet_tf.meta.update_rules import GradientDescent, StepSize, UpdateRule

ZERO = tf.UnconnectedGradients.ZERO
# From fast weights [B, ...] and the number of the inner step to support losses [B].
TaskLosses = Callable[[list[Any], int], tf.Tensor]
# From the number of the inner step to a mask for each task weight, None where it has none.
Masks = Callable[[int], Sequence[tf.Tensor | None]]


class InnerTrajectory(NamedTuple):
    """The fast weights and losses of an inner loop of S steps.

    It is a named tuple, which a `tf.function` can return.

    Attributes:
        weights: S + 1 lists of fast weights [B, *variable.shape], the initial ones first.
        support_losses: S tensors [B], the support loss BEFORE each inner step.
    """

    weights: list[list[tf.Tensor]]
    support_losses: list[tf.Tensor]

    @property
    def fast_weights(self) -> list[tf.Tensor]:
        """The weights after the last inner step, tensors [B, *variable.shape]."""
        return self.weights[-1]

    @property
    def trajectory(self) -> list[list[tf.Tensor]]:
        """What version 0.1.0 called `weights`."""
        warnings.warn("`trajectory` is now `weights`.", DeprecationWarning, stacklevel=2)
        return self.weights

    def until(self, step: int) -> "InnerTrajectory":
        """The trajectory that ends after `step` inner steps."""
        return InnerTrajectory(self.weights[: step + 1], self.support_losses[:step])


def initial_fast_weights(
    variables: Sequence[keras.Variable], num_tasks: int | tf.Tensor
) -> list[tf.Tensor]:
    """One copy of each variable per task.

    Args:
        variables: the variables that adapt.
        num_tasks: B.

    Returns:
        List of tensors [B, *variable.shape].
    """
    values = [tf.convert_to_tensor(v.value) for v in variables]
    return [tf.broadcast_to(v, tf.concat([[num_tasks], tf.shape(v)], 0)) for v in values]


def shared_weights(
    variables: Sequence[keras.Variable], num_tasks: int | tf.Tensor
) -> list[SharedWeight]:
    """The weights before the first inner step, in the form that layers compute with fastest.

    Args:
        variables: the variables that adapt.
        num_tasks: B.

    Returns:
        List of `SharedWeight`.
    """
    values = [tf.convert_to_tensor(v.value) for v in variables]
    shapes = [tf.concat([[num_tasks], tf.shape(v)], 0) for v in values]
    zeros = [tf.zeros(s, v.dtype) for s, v in zip(shapes, values, strict=True)]
    return [SharedWeight(*pair) for pair in zip(values, zeros, strict=True)]


def adapt(
    task_losses: TaskLosses,
    weights: Sequence[tf.Tensor | SharedWeight],
    *,
    num_inner_steps: int,
    step_size: StepSize | Sequence[StepSize] | None = None,
    update_rule: UpdateRule | None = None,
    masks: Masks | None = None,
    first_order: bool | tf.Tensor = False,
) -> InnerTrajectory:
    """Adapts the weights of each task to its support set.

    One step of eq. 8 (eq. 4 where the mask is None), for all tasks at once:
    `weights -= step_size * mask * gradient`. Tasks are independent, so the gradient of the sum of
    their losses contains the gradient of each task. Call it inside an outer `tf.GradientTape` to
    get the meta-gradient.

    Example:
    >>> import tensorflow as tf
    >>> def losses(weights, step):  # one weight per task, two tasks
    ...     return tf.square(weights[0] - [1.0, 5.0])
    >>> trajectory = adapt(losses, [tf.zeros([2])], num_inner_steps=1, step_size=0.5)
    >>> trajectory.fast_weights[0].numpy().tolist()
    [1.0, 5.0]

    Args:
        task_losses: function (fast weights, list of [B, ...]; number of the step) -> support
            losses [B].
        weights: initial fast weights, list of [B, ...]; or of `SharedWeight`, which `task_losses`
            then receives in the first step.
        num_inner_steps: number of steps, at least 0.
        step_size: alpha of gradient descent, see `GradientDescent`.
        update_rule: `UpdateRule`. Give either this or `step_size`.
        masks: function from the number of the step to a list that contains, for each weight, a
            tensor that broadcasts against it, or None; None for no masks.
        first_order: omits second derivatives: the outer tape treats the gradient as a constant. A
            bool, or a scalar bool tensor if it changes during training.

    Returns:
        `InnerTrajectory`.

    Raises:
        ValueError: unless exactly one of `step_size` and `update_rule` is given, or if a step size
            is not positive and finite.
    """
    rule = choose_rule(step_size, update_rule)
    given = list(weights)
    weights = [of_tasks(w) for w in given]
    found, losses_before, state = [weights], [], None
    for step in range(num_inner_steps):
        varied = [w.offsets if isinstance(w, SharedWeight) else w for w in given]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(varied)
            losses = task_losses(given, step)  # [B]
        gradients = tape.gradient(losses, varied, unconnected_gradients=ZERO)
        gradients = [
            _constant_if(first_order, g)  # pyright: ignore[reportArgumentType]
            for g in gradients
        ]
        step_masks = masks(step) if masks else [None] * len(weights)
        masked = [g if m is None else m * g for g, m in zip(gradients, step_masks, strict=True)]
        weights, state = rule.update(step, weights, masked, losses, state)
        given = weights
        found.append(weights)
        losses_before.append(losses)
    return InnerTrajectory(found, losses_before)


def choose_rule(
    step_size: StepSize | Sequence[StepSize] | None, update_rule: UpdateRule | None
) -> UpdateRule:
    """The given rule, or gradient descent with the given step size.

    Raises:
        ValueError: unless exactly one of them is given, or if a step size is not positive and
            finite.
    """
    if (step_size is None) == (update_rule is None):
        raise ValueError(
            "Exactly one of `step_size` and `update_rule` must be given, because a rule has its "
            f"own step sizes. Received: step_size={step_size}, update_rule={update_rule}."
        )
    return GradientDescent(step_size) if update_rule is None else update_rule


def _constant_if(first_order: bool | tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """The gradient, as a constant for the outer tape if `first_order`."""
    if isinstance(first_order, bool):
        return tf.stop_gradient(gradient) if first_order else gradient
    return tf.where(first_order, tf.stop_gradient(gradient), gradient)
