"""`MetaLearner.adapt`: a Keras model of one task, with weights of its own."""

import keras
import tensorflow as tf

from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.conversion import Replacement, check_rebuildable, new_layer, rebuild
from mtnet_tf.layers import TaskBatchNormalization


def adapted_model(learner, support_x, support_y, **options):
    """A Keras model adapted to one task; see `MetaLearner.adapt`."""
    check_rebuildable(learner.model)
    adapter = Adapter(learner, **options)
    x, y = as_support(learner.model, support_x, support_y, adapter.num_ways)
    adapted = adapter.adapt(x[None], y[None])
    variables = [id(weight.variable) for weight in learner.task_weights]
    learned = dict(zip(variables, adapted.weights, strict=True))
    statistics = _statistics_of_layers(adapted)

    def replace(layer):
        config = layer.get_config()
        values = {id(v): learned[id(v)][0] if id(v) in learned else v for v in layer.variables}
        fixed = []
        if _normalizes_sets(layer):
            config |= {"frozen": adapter.statistics == "support", "moving_statistics": False}
            for unused in (layer.moving_mean, layer.moving_variance):
                values.pop(id(unused), None)
            fixed = statistics.get(id(layer), [])
        return Replacement(new_layer(layer, config), [*values.values(), *fixed])

    return rebuild(learner.model, replace)


def _normalizes_sets(layer):
    return isinstance(layer, TaskBatchNormalization) and not layer.frozen


def _statistics_of_layers(adapted):
    """From the id of a normalisation to the mean and variance that it keeps, [C] each."""
    if len({id(layer) for layer in adapted.layers}) < len(adapted.layers):
        raise ValueError(
            "A normalisation of the model is passed more than once, and one layer can't keep "
            "several statistics. Adapt with statistics='query', or give each pass a layer."
        )
    pairs = zip(adapted.layers, adapted.statistics, strict=True)
    return {id(layer): [mean[0, 0], variance[0, 0]] for layer, (mean, variance) in pairs}


def as_support(model, x, y, num_ways=None):
    """A support set as tensors, checked.

    Args:
      model: Keras model.
      x: [n, ...], anything that becomes a tensor.
      y: [n, ...]; class numbers become int32.
      num_ways: number of classes, None for the model's.

    Returns:
      Pair of tensors.

    Raises:
      ValueError: where shapes or labels don't fit the model.
    """
    x = tf.convert_to_tensor(keras.ops.convert_to_numpy(x), model.inputs[0].dtype)
    y = tf.convert_to_tensor(keras.ops.convert_to_numpy(y))
    expected = model.input_shape[1:]
    if not x.shape[1:].is_compatible_with(expected) or not x.shape[0]:
        raise ValueError(
            f"`support_x` must be [n, {', '.join(map(str, expected))}] with n of at least 1, the "
            f"support set of one task. Received: an array of shape {list(x.shape)}."
        )
    if y.shape[:1] != x.shape[:1]:
        raise ValueError(
            "`support_y` must have one label for each of `support_x`. Received: "
            f"{list(y.shape)} labels for {x.shape[0]} examples."
        )
    if not y.dtype.is_integer:
        return x, tf.cast(y, x.dtype)
    return x, _check_classes(tf.cast(y, tf.int32), num_ways or model.output_shape[-1])


def _check_classes(y, num_ways):
    lowest, highest = int(tf.reduce_min(y)), int(tf.reduce_max(y))
    if y.shape.rank == 1 and not 0 <= lowest <= highest < num_ways:
        raise ValueError(
            f"`support_y` must be class numbers from 0 to {num_ways - 1}. "
            f"Received: numbers from {lowest} to {highest}."
        )
    return y
