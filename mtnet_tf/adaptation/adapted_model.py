"""`adapted_model`: a Keras model adapted to one task."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf.adaptation.adapter import Adapted, Adapter
from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.conversion import Replacement, check_rebuildable, new_layer, rebuild
from mtnet_tf.layers import TaskBatchNormalization


def adapted_model(
    learner: AdaptableLearner,
    support_x: Any,
    support_y: Any,
    *,
    num_inner_steps: int | None = None,
    masks: str | int = "most_probable",
    statistics: str = "support",
    num_ways: int | None = None,
) -> keras.Model:
    """Copies the model of a learner and gives the copy the weights adapted to one task.

    Args:
        learner: compiled `MetaLearner`.
        support_x: [n, ...], array or tensor with any number of examples.
        support_y: [n, ...], class numbers or targets; classes may have unequal shots.
        num_inner_steps: as in `Adapter`.
        masks: as in `Adapter`.
        statistics: as in `Adapter`.
        num_ways: as in `Adapter`. The adapted model keeps all its outputs.

    Returns:
        Keras model [n, ...] -> [n, ...] that shares no weights with the learner.

    Raises:
        ValueError: if the learner is not compiled, if its model cannot be copied, or if the
            support set does not fit the model.
    """
    check_rebuildable(learner.model)
    adapter = Adapter(
        learner,
        num_inner_steps=num_inner_steps,
        masks=masks,
        statistics=statistics,
        num_ways=num_ways,
    )
    x, y = as_support(learner.model, support_x, support_y, num_ways)
    adapted = adapter.adapt(x[None], y[None])
    variables = [id(weight.variable) for weight in learner.task_weights]
    learned = dict(zip(variables, adapted.weights, strict=True))
    fixed_statistics = _statistics_of_layers(adapted)

    def replace(layer: keras.layers.Layer) -> Replacement:
        config = layer.get_config()
        values = {id(v): learned[id(v)][0] if id(v) in learned else v for v in layer.variables}
        fixed = []
        if isinstance(layer, TaskBatchNormalization) and not layer.frozen:
            config |= {"frozen": statistics == "support", "moving_statistics": False}
            for unused in (layer.moving_mean, layer.moving_variance):
                values.pop(id(unused), None)
            fixed = fixed_statistics.get(id(layer), [])
        return Replacement(new_layer(layer, config), [*values.values(), *fixed])

    return rebuild(learner.model, replace)


def _statistics_of_layers(adapted: Adapted) -> dict[int, list[tf.Tensor]]:
    """Maps the id of a normalisation layer to its mean and variance, [C] each."""
    if len({id(layer) for layer in adapted.layers}) < len(adapted.layers):
        raise ValueError(
            "A normalisation layer of the model is called more than once, and a layer can store "
            "the statistics of one call only. Adapt with statistics='query', or use one layer for "
            "each call."
        )
    pairs = zip(adapted.layers, adapted.statistics, strict=True)
    return {id(layer): [mean[0, 0], variance[0, 0]] for layer, (mean, variance) in pairs}


def as_support(
    model: keras.Model, x: Any, y: Any, num_ways: int | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Converts a support set to tensors and checks it.

    Args:
        model: Keras model.
        x: [n, ...], array or tensor.
        y: [n, ...], array or tensor; class numbers become int32.
        num_ways: number of classes; None for the number of outputs of the model.

    Returns:
        Pair of tensors x [n, ...], y [n, ...].

    Raises:
        ValueError: if a shape or a label does not fit the model.
    """
    x = tf.convert_to_tensor(np.asarray(keras.ops.convert_to_numpy(x)), model.inputs[0].dtype)
    y = tf.convert_to_tensor(np.asarray(keras.ops.convert_to_numpy(y)))
    expected = model.input_shape[1:]
    if not x.shape[1:].is_compatible_with(expected) or not x.shape[0]:
        raise ValueError(
            f"`support_x` must have shape [n, {', '.join(map(str, expected))}] with n >= 1. It is "
            f"the support set of one task. Received: an array of shape {list(x.shape)}."
        )
    if y.shape[:1] != x.shape[:1]:
        raise ValueError(
            "`support_y` must have one label for each example of `support_x`. Received: "
            f"labels of shape {list(y.shape)} for {x.shape[0]} examples."
        )
    if not y.dtype.is_integer:
        return x, tf.cast(y, x.dtype)
    y = tf.cast(y, tf.int32)
    _check_classes(y, num_ways or model.output_shape[-1])
    return x, y


def _check_classes(y: tf.Tensor, num_ways: int) -> None:
    lowest, highest = int(tf.reduce_min(y)), int(tf.reduce_max(y))
    if y.shape.rank == 1 and not 0 <= lowest <= highest < num_ways:
        raise ValueError(
            f"`support_y` must contain class numbers from 0 to {num_ways - 1}. "
            f"Received: numbers from {lowest} to {highest}."
        )
