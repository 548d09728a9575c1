"""One task after another: for models whose adapted weights sit in layers that know no tasks.

An LSTM or somebody's own layer computes with one value of its weights. `predict_per_task` calls the
model once per task, inside `keras.StatelessScope`, which lends it that task's values: slower than
flattening tasks into the batch, for the same numbers. The inner loop is the same.
"""

import keras
import tensorflow as tf

from mtnet_tf._keras import flatten_layers, seed_generators
from mtnet_tf.layers import FastWeightScope, SetStatistics


def predict_per_task(model, task_weights, weights, x, training=True, statistics=None):
    """Predictions of each task's own network, task by task.

    Args:
      model: Keras model, [n, ...] -> [n, ...].
      task_weights: list of `TaskWeight`.
      weights: their fast weights, list of [B, *variable.shape].
      x: [B, n, ...].
      training: passed to the model.
      statistics: `SetStatistics` to record or to use, None for the set's own.

    Returns:
      Tensor [B, n, ...].
    """
    generators = [g for layer in flatten_layers(model) for g in seed_generators(layer)]
    lent = [w.variable for w in task_weights]
    values = list(weights)
    if training:
        lent += [g.state for g in generators]
        values += [_task_seeds(g, tf.shape(x)[0]) for g in generators]
    replays = statistics is not None and statistics.replays
    recorded, layers = (statistics.recorded if replays else []), []

    def one_task(values, x, recorded):
        own = SetStatistics(tf.nest.map_structure(lambda t: t[None], recorded) if replays else None)
        with (
            keras.StatelessScope(zip(lent, values, strict=True)),
            FastWeightScope([], num_tasks=1, statistics=own),
        ):
            predictions = model(x, training=training)
        layers[:] = own.layers  # the same whenever this is traced
        return predictions, [] if replays else own.recorded

    predictions, found = _map(one_task, [values, x, recorded])
    if statistics is not None and not replays:
        statistics.recorded += tf.nest.map_structure(lambda t: tf.squeeze(t, 1), found)
        statistics.layers += layers
    return predictions


def check_no_activity_regularizers(model):
    """Raises ValueError if a layer has one: its loss would be lost, since tasks are apart."""
    for layer in flatten_layers(model):
        if layer.activity_regularizer is not None:
            raise ValueError(
                "`model` must not hold activity regularisers where `adapt_layers` names layers "
                f"other than TW layers. Received: {layer.name}, which has one."
            )


def _map(function, elements):
    """`function(*slices)` of every slice of the elements, stacked."""
    slices = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape[1:], t.dtype), elements)
    # `tf.map_fn` must be told what comes out, and only a trace can say.
    concrete = tf.function(function, autograph=False).get_concrete_function(*slices)
    outputs = concrete.structured_outputs
    signature = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), outputs)
    return tf.map_fn(lambda slices: function(*slices), elements, fn_output_signature=signature)


def _task_seeds(generator, num_tasks):
    """A state of a Keras seed generator for each task, [B, 2]; the generator itself moves on."""
    seed = tf.cast(generator.next(), tf.int32)
    seeds = tf.random.stateless_uniform([num_tasks, 2], seed, None, None, tf.int32)
    return tf.cast(seeds, generator.state.dtype)
