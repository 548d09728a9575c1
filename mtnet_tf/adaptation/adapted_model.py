"""`adapted_model`: a Keras model adapted to one task."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.adaptation.compiled import AdaptationCache
from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.adaptation.network_copy import copy_network, network_values
from mtnet_tf.meta import class_numbers


def adapted_model(
    learner: AdaptableLearner,
    support_x: Any,
    support_y: Any,
    *,
    sample_weight: Any = None,
    num_inner_steps: int | None = None,
    masks: str | int = "most_probable",
    statistics: str = "support",
    num_ways: int | None = None,
    cache: AdaptationCache,
) -> keras.Model:
    """Copies the model of a learner and gives the copy the weights adapted to one task.

    Args:
        learner: compiled `MetaLearner`.
        support_x: [n, ...], array or tensor with any number of examples; or a dict or list of them
            if the model has several inputs.
        support_y: [n, ...], class numbers or targets; classes may have unequal shots.
        sample_weight: [n], factors of the losses of the examples; None for 1.
        num_inner_steps: as in `Adapter`.
        masks: as in `Adapter`.
        statistics: as in `Adapter`.
        num_ways: as in `Adapter`. The adapted model keeps all its outputs.
        cache: the compiled adaptations of this learner.

    Returns:
        Keras model [n, ...] -> [n, ...] that shares no weights with the learner.

    Raises:
        ValueError: if the learner is not compiled, if its model cannot be copied, or if the
            support set does not fit the model.
    """
    adapter = Adapter(
        learner,
        num_inner_steps=num_inner_steps,
        masks=masks,
        statistics=statistics,
        num_ways=num_ways,
        inputs=cache.inputs(learner.model),
    )
    support = as_support(adapter, support_x, support_y, sample_weight)
    support = tf.nest.map_structure(lambda part: part[None], support)
    if not learner.run_eagerly:
        adapter.check_support(*support)
        model = cache.get(adapter, support).adapt(support, adapter.masks)
        if model is not None:
            return model
    adapted = adapter.adapt(*support)  # raises an error if something is not finite
    return copy_network(adapter, adapted.layers, network_values(adapter, adapted)).model


def as_support(adapter: Adapter, x: Any, y: Any, sample_weight: Any = None) -> tuple[Any, ...]:
    """Converts a support set to tensors and checks it.

    Args:
        adapter: `Adapter`.
        x: [n, ...], array or tensor; or a dict or list of them for a model with several inputs.
        y: [n, ...], array or tensor; class numbers become int32, other targets floats.
        sample_weight: [n]; or None.

    Returns:
        Tensors x [n, ...], y [n, ...] and, if they are given, weights [n].

    Raises:
        ValueError: if a shape or a label does not fit the model.
    """
    x = adapter.inputs.convert(x, "support_x")
    num_examples = tf.nest.flatten(x)[0].shape[:1]
    y = np.asarray(keras.ops.convert_to_numpy(y))
    y = tf.convert_to_tensor(y.astype("int32") if y.dtype == bool else y)
    if y.shape[:1] != num_examples:
        raise ValueError(
            "`support_y` must have one label for each example of `support_x`. Received: "
            f"labels of shape {list(y.shape)} for {num_examples[0]} examples."
        )
    y = _as_targets(adapter, y)
    if sample_weight is None:
        return x, y
    weights = tf.cast(np.asarray(keras.ops.convert_to_numpy(sample_weight)), tf.float32)
    if weights.shape != num_examples:
        raise ValueError(
            "`sample_weight` must have one number for each example of `support_x`. Received: "
            f"weights of shape {list(weights.shape)} for {num_examples[0]} examples."
        )
    return x, y, weights


def _as_targets(adapter: Adapter, y: tf.Tensor) -> tf.Tensor:
    """Labels as int32 if they are class numbers, other targets in the dtype of the outputs."""
    inputs, loss = adapter.inputs, adapter.learner.task_loss
    is_class = class_numbers(loss, y, inputs.output_shape) is not None
    return tf.cast(y, tf.int32 if y.dtype.is_integer and is_class else inputs.target_dtype)
