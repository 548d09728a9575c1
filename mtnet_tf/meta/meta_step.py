"""The meta-loss and its gradient: a GradientTape around the inner loop's GradientTape.

Data flow of one meta-step, for all tasks at once:

    meta-parameters -> initial fast weights [B, ...] -> adapt on the support sets (eq. 4, 8)
                    -> predictions on the query sets -> loss per task [B] -> mean (eq. 5, 13)
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Required, TypedDict, Unpack

import keras
import tensorflow as tf

from mtnet_tf._keras import keras_mask, set_keras_mask
from mtnet_tf.layers import (
    FastWeightScope,
    SetStatistics,
    SharedWeight,
    TaskWeight,
    of_tasks,
)
from mtnet_tf.meta.inner_loop import InnerTrajectory, Masks, adapt, shared_weights
from mtnet_tf.meta.loss_shapes import TaskLoss
from mtnet_tf.meta.losses import task_losses
from mtnet_tf.meta.per_task import predict_per_task, single_output
from mtnet_tf.meta.update_rules import StepSize, UpdateRule
from mtnet_tf.tasks import Episode, Examples, Inputs

ZERO = tf.UnconnectedGradients.ZERO


class InnerOptions(TypedDict, total=False):
    """Options of the inner loop that are passed on to `adapt`, and explained there."""

    num_inner_steps: Required[int]
    step_size: StepSize | Sequence[StepSize] | None
    update_rule: UpdateRule | None
    masks: Masks | None
    first_order: bool | tf.Tensor


class MetaLoss(NamedTuple):
    """The result of the forward pass of a meta-step.

    It is a named tuple, which a `tf.function` can return.

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

    def with_value(self, value: tf.Tensor) -> "MetaLoss":
        """The same result with another value to minimise."""
        return self._replace(value=value)


def flatten_tasks(x: Inputs) -> Inputs:
    """[B, n, ...] -> [B*n, ...], for each tensor of a structure of them."""
    return tf.nest.map_structure(
        lambda tensor: tf.reshape(tensor, tf.concat([[-1], tf.shape(tensor)[2:]], 0)), x
    )


def unflatten_tasks(outputs: tf.Tensor, x: Inputs) -> tf.Tensor:
    """[B*m, ...] -> [B, m, ...], where `x` are inputs [B, m, ...]."""
    num_examples = tf.shape(tf.nest.flatten(x)[0])[1]
    return tf.reshape(outputs, [count_tasks(x), num_examples, *outputs.shape[1:]])


def count_tasks(x: Inputs) -> int | tf.Tensor:
    """B of tensors [B, ...]: an int if it is known during tracing, else a tensor."""
    first = tf.nest.flatten(x)[0]
    return first.shape[0] or tf.shape(first)[0]


def predict(
    model: keras.Model,
    task_weights: Sequence[TaskWeight],
    weights: Sequence[tf.Tensor | SharedWeight],
    x: Inputs,
    training: bool = True,
    statistics: SetStatistics | None = None,
) -> tf.Tensor:
    """Predictions of the network of each task.

    If every task weight is in a TW layer, all tasks are flattened into one batch. Otherwise the
    model is called for one task after the other (`predict_per_task`), with the same numbers.

    Args:
        model: Keras model, [n, ...] -> [n, ...].
        task_weights: the weights that adapt.
        weights: their fast weights, list of [B, *variable.shape] or `SharedWeight`.
        x: [B, n, ...], or a structure of such tensors.
        training: passed to the model.
        statistics: `SetStatistics` to record or to use; None for the statistics of the set itself.

    Returns:
        Tensor [B*n, ...], flattened, with the time-step mask that Keras attaches to outputs.
    """
    if not all(w.flattened for w in task_weights):
        per_task = [of_tasks(w) for w in weights]
        found = predict_per_task(model, task_weights, per_task, x, training, statistics)
        mask = keras_mask(found)
        return set_keras_mask(flatten_tasks(found), None if mask is None else flatten_tasks(mask))
    num_tasks = count_tasks(x)
    values = zip([w.variable for w in task_weights], weights, strict=True)
    with FastWeightScope(values, num_tasks, statistics):
        return single_output(model(flatten_tasks(x), training=training))


def set_losses(
    model: keras.Model,
    task_weights: Sequence[TaskWeight],
    loss: TaskLoss,
    weights: Sequence[tf.Tensor | SharedWeight],
    x: Inputs,
    y: tf.Tensor,
    training: bool = True,
    sample_weight: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss of the network of each task on a set.

    Args:
        model: Keras model.
        task_weights: the weights that adapt.
        loss: see `task_losses`.
        weights: fast weights, list of [B, *variable.shape] or `SharedWeight`.
        x: [B, n, ...], or a structure of such tensors.
        y: [B, n, ...].
        training: passed to the model.
        sample_weight: [B, n], factors of the losses of the examples; None for 1.

    Returns:
        Pair (losses [B], reduced over examples as `loss` says; predictions [B*n, ...]).
    """
    predictions = predict(model, task_weights, weights, x, training)
    losses = task_losses(loss, flatten_tasks(y), predictions, count_tasks(x), sample_weight)
    return losses, predictions


def adapt_to_support(
    model: keras.Model,
    task_weights: Sequence[TaskWeight],
    loss: TaskLoss,
    support: Examples,
    *,
    training: bool = True,
    **options: Unpack[InnerOptions],
) -> InnerTrajectory:
    """Runs the inner loop on support sets.

    Args:
        model: Keras model.
        task_weights: the weights that adapt.
        loss: see `task_losses`.
        support: (x [B, n, ...], y [B, n, ...]), or (x, y, sample weights [B, n]).
        training: passed to the model.
        **options: of `adapt`.

    Returns:
        `InnerTrajectory`.
    """
    x, y, *sample_weight = support

    def support_losses(weights: list[tf.Tensor | SharedWeight], step: int) -> tf.Tensor:
        return set_losses(model, task_weights, loss, weights, x, y, training, *sample_weight)[0]

    initial = shared_weights([w.variable for w in task_weights], count_tasks(x))
    return adapt(support_losses, initial, **options)


def meta_loss(
    model: keras.Model,
    task_weights: Sequence[TaskWeight],
    loss: TaskLoss,
    episode: Episode,
    *,
    training: bool = True,
    **options: Unpack[InnerOptions],
) -> MetaLoss:
    """The query loss of networks adapted to the support sets (eq. 5 and 13).

    The paper sums over the tasks of a meta-batch. This is their mean, as in the authors' code.

    Args:
        model: Keras model.
        task_weights: the weights that adapt.
        loss: see `task_losses`.
        episode: `Episode`.
        training: passed to the model.
        **options: of `adapt`.

    Returns:
        `MetaLoss`.
    """
    trajectory = adapt_to_support(
        model, task_weights, loss, episode.support, training=training, **options
    )
    return query_loss(model, task_weights, loss, episode, trajectory, training=training)


def query_loss(
    model: keras.Model,
    task_weights: Sequence[TaskWeight],
    loss: TaskLoss,
    episode: Episode,
    trajectory: InnerTrajectory,
    *,
    training: bool = True,
) -> MetaLoss:
    """The loss of adapted networks on the query sets.

    Args:
        model: Keras model.
        task_weights: the weights that adapt.
        loss: see `task_losses`.
        episode: `Episode` that contains the queries.
        trajectory: `InnerTrajectory`, whose last weights predict.
        training: passed to the model.

    Returns:
        `MetaLoss`.
    """
    weights = trajectory.fast_weights
    x, y, *sample_weight = episode.query
    losses, predictions = set_losses(
        model, task_weights, loss, weights, x, y, training, *sample_weight
    )
    return MetaLoss(tf.reduce_mean(losses), predictions, losses, trajectory)


def meta_gradients(
    model: keras.Model,
    task_weights: Sequence[TaskWeight],
    meta_parameters: Sequence[keras.Variable],
    loss: TaskLoss,
    episode: Episode,
    *,
    scale: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    training: bool = True,
    **options: Unpack[InnerOptions],
) -> tuple[MetaLoss, list[tf.Tensor]]:
    """The meta-loss with the model's regularisers, and the gradient of every meta-parameter.

    Args:
        model: Keras model.
        task_weights: the weights that adapt.
        meta_parameters: variables: W, b, T, mask logits, normalisation.
        loss: see `task_losses`.
        episode: `Episode`.
        scale: an optimizer's `scale_loss`, against underflow in half precision.
        training: passed to the model.
        **options: of `adapt`.

    Returns:
        Pair (`MetaLoss`, list of gradients of the scaled value).
    """

    def compute() -> MetaLoss:
        return meta_loss(model, task_weights, loss, episode, training=training, **options)

    return value_and_gradients(compute, model, meta_parameters, scale)


def value_and_gradients(
    compute: Callable[[], MetaLoss],
    model: keras.Model,
    meta_parameters: Sequence[keras.Variable],
    scale: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tuple[MetaLoss, list[tf.Tensor]]:
    """A meta-loss with the model's regularisers, and the gradient of every meta-parameter.

    Args:
        compute: function without arguments that returns the `MetaLoss`.
        model: Keras model, whose `losses` are added.
        meta_parameters: variables.
        scale: an optimizer's `scale_loss`, against underflow in half precision.

    Returns:
        Pair (`MetaLoss`, list of gradients of the scaled value).
    """
    with tf.GradientTape() as tape:
        result = compute()
        value = tf.add_n([result.value, *model.losses])
        scaled = scale(value)
    variables = [v.value for v in meta_parameters]
    gradients = tape.gradient(scaled, variables, unconnected_gradients=ZERO)
    return result.with_value(value), gradients  # pyright: ignore[reportReturnType]
