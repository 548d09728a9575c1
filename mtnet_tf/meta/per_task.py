"""Prediction task by task, for models whose adapted weights are in layers without a task axis.

An LSTM, or a layer class of the user, computes with a single value of its weights. Therefore
`predict_per_task` calls the model once per task, in a `keras.StatelessScope` that replaces the
variables by the fast weights of that task. This is slower than flattening tasks into the batch and
gives the same numbers. The inner loop does not change.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf._keras import flatten_layers, keras_mask, seed_generators, set_keras_mask
from mtnet_tf.layers import FastWeightScope, SetStatistics, TaskWeight
from mtnet_tf.tasks import Inputs


def predict_per_task(
    model: keras.Model,
    task_weights: Sequence[TaskWeight],
    weights: Sequence[tf.Tensor],
    x: Inputs,
    training: bool = True,
    statistics: SetStatistics | None = None,
) -> tf.Tensor:
    """Predictions of the network of each task, one task after the other.

    `predictions[b] = model(x[b]; weights[0][b], weights[1][b], ...)` for b = 0, ..., B - 1.

    Args:
        model: Keras model, [n, ...] -> [n, ...].
        task_weights: the weights that adapt.
        weights: their fast weights, list of [B, *variable.shape].
        x: [B, n, ...], or a structure of such tensors.
        training: passed to the model.
        statistics: `SetStatistics` to record or to use; None for the statistics of the set itself.

    Returns:
        Tensor [B, n, ...], with the time-step mask [B, n, S] that Keras attaches to outputs.
    """
    generators = [g for layer in flatten_layers(model) for g in seed_generators(layer)]
    lent = [w.variable for w in task_weights]
    values = list(weights)
    if training:
        lent += [g.state for g in generators]
        values += [_task_seeds(g, tf.shape(tf.nest.flatten(x)[0])[0]) for g in generators]
    replays = statistics is not None and statistics.replays
    recorded = statistics.recorded if statistics is not None and replays else []
    layers: list[keras.layers.Layer] = []

    def one_task(
        values: list[tf.Tensor], x: Inputs, recorded: list[Any]
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[Any]]:
        own = SetStatistics(tf.nest.map_structure(lambda t: t[None], recorded) if replays else None)
        with (
            keras.StatelessScope(list(zip(lent, values, strict=True))),
            FastWeightScope([], num_tasks=1, statistics=own),
        ):
            predictions = single_output(model(x, training=training))
        layers[:] = own.layers  # the same in every trace
        mask = keras_mask(predictions)
        return predictions, [] if mask is None else [mask], [] if replays else own.recorded

    predictions, masks, found = _map(one_task, [values, x, recorded])
    if statistics is not None and not replays:
        statistics.recorded += tf.nest.map_structure(lambda t: tf.squeeze(t, 1), found)
        statistics.layers += layers
    return set_keras_mask(predictions, masks[0] if masks else None)


def single_output(outputs: Any) -> tf.Tensor:
    """The output of a model, which may be in a dict or list with nothing else.

    Raises:
        ValueError: if the model has several outputs.
    """
    found = tf.nest.flatten(outputs)
    if len(found) != 1:
        raise ValueError(
            "`model` must have one output, on which the loss is defined. Received: a model with "
            f"{len(found)} outputs. Choose one, `keras.Model(model.inputs, model.outputs[0])`, or "
            "combine them in one layer, such as `Concatenate`."
        )
    return found[0]


def check_no_activity_regularizers(model: keras.Model) -> None:
    """Raises ValueError if a layer has an activity regulariser, whose loss would be ignored."""
    for layer in flatten_layers(model):
        if layer.activity_regularizer is not None:
            raise ValueError(
                "`model` must not contain activity regularisers if `adapt_layers` names layers "
                f"other than TW layers. Received: {layer.name}, which has one."
            )


def _map(function: Callable[..., Any], elements: list[Any]) -> Any:
    """`function(*slices)` for every slice of the elements, stacked."""
    slices = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape[1:], t.dtype), elements)
    # `tf.map_fn` needs the output signature, which is known only after tracing.
    concrete = tf.function(function, autograph=False).get_concrete_function(*slices)
    outputs = concrete.structured_outputs
    signature = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), outputs)
    return tf.map_fn(lambda slices: function(*slices), elements, fn_output_signature=signature)


def _task_seeds(generator: keras.random.SeedGenerator, num_tasks: tf.Tensor) -> tf.Tensor:
    """A state of a Keras seed generator for each task, [B, 2]; advances the generator."""
    seed = tf.cast(generator.next(), tf.int32)
    shape = [num_tasks, 2]
    seeds = tf.random.stateless_uniform(shape, seed, None, None, tf.int32)  # pyright: ignore[reportArgumentType]
    return tf.cast(seeds, generator.state.dtype)
