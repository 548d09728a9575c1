"""`MetaLearner.adapt`: a Keras model of one task, with weights of its own."""

import keras
import tensorflow as tf

from mtnet_tf.adaptation import Adapter
from mtnet_tf.layers import TaskBatchNormalization


def adapted_model(learner, support_x, support_y, **options):
    """A Keras model adapted to one task; see `MetaLearner.adapt`."""
    adapter = Adapter(learner, **options)
    x, y = as_support(learner.model, support_x, support_y, adapter.num_ways)
    adapted = adapter.adapt(x[None], y[None])
    clone = _clone(learner.model, adapter.statistics)
    variables = [id(weight.variable) for weight in learner.task_weights]
    learned = dict(zip(variables, adapted.weights, strict=True))
    for old, new in _pairs(learner.model, clone):
        new.assign(learned[id(old)][0] if id(old) in learned else old)
    _freeze_statistics(learner.model, clone, adapted)
    return clone


def _clone(model, statistics):
    """A model with the same layers and new values; its normalisation as `statistics` says."""

    def clone_layer(layer):
        config = layer.get_config()
        if _normalizes_sets(layer):
            config |= {"frozen": statistics == "support", "moving_statistics": False}
        return type(layer).from_config(config)

    if any(_normalizes_sets(layer) for layer in model._flatten_layers()):
        return keras.models.clone_model(model, clone_function=clone_layer, recursive=True)
    return keras.models.clone_model(model)


def _normalizes_sets(layer):
    return isinstance(layer, TaskBatchNormalization) and not layer.frozen


def _pairs(model, clone):
    """Every weight that both models have, and its clone; fixed statistics may be in one only."""
    single = set()
    for old, new in zip(model._flatten_layers(), clone._flatten_layers(), strict=True):
        if isinstance(old, TaskBatchNormalization) and (old.moving_mean is None) != (
            new.moving_mean is None
        ):
            layer = new if old.moving_mean is None else old
            single |= {id(layer.moving_mean), id(layer.moving_variance)}
    both = ([w for w in m.weights if id(w) not in single] for m in (model, clone))
    return list(zip(*both, strict=True))


def _freeze_statistics(model, clone, adapted):
    clones = dict(zip(map(id, model._flatten_layers()), clone._flatten_layers(), strict=True))
    if len({id(layer) for layer in adapted.layers}) < len(adapted.layers):
        raise ValueError(
            "A normalisation of the model is passed more than once, and one layer can't keep "
            "several statistics. Adapt with statistics='query', or give each pass a layer."
        )
    for layer, (mean, variance) in zip(adapted.layers, adapted.statistics, strict=True):
        clones[id(layer)].moving_mean.assign(mean[0, 0])
        clones[id(layer)].moving_variance.assign(variance[0, 0])


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
