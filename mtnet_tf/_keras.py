"""Every private name of Keras and TensorFlow that this package uses, each in one function.

Nothing else in the package may touch a private name of either (`test_keras_internals` checks it),
so that only this file must be checked against a new version of Keras.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf
from keras.src.models.functional import Functional
from tensorflow.python.eager import record

__all__ = [
    "Functional",
    "UndistributedStrategy",
    "batch_counter",
    "build_metrics",
    "check_keras_model",
    "copy_optimizer",
    "flatten_layers",
    "graph_functions",
    "hide_strategy",
    "is_optional",
    "is_recording",
    "keras_mask",
    "lambda_output_shape",
    "loss_tracker",
    "seed_generators",
    "set_keras_mask",
    "was_created_in",
    "without_own_reduction",
]


def check_keras_model(model: Any) -> None:
    """Raises ValueError unless it is a model (or layer) of Keras 3; tf_keras contains Keras 2."""
    if isinstance(model, keras.layers.Layer):
        return
    kinds = type(model).__mro__
    kind = f"{getattr(model, 'name', 'an object')} of class {type(model).__name__}"
    if any(x.__module__.startswith(("tf_keras.", "tensorflow.python.keras.")) for x in kinds):
        raise ValueError(
            f"`model` must be a model of Keras 3 (`import keras`). Received: {kind} of tf_keras, "
            "which is Keras 2. Save it with `model.save('model.h5')` and load it with "
            "`keras.saving.load_model('model.h5', compile=False)`. If it cannot be loaded, build "
            "the same layers with `keras` and copy the weights with "
            "`new_model.set_weights(model.get_weights())`."
        )
    raise ValueError(f"`model` must be a Keras model. Received: {kind}.")


def flatten_layers(
    layer: keras.layers.Layer, include_self: bool = True
) -> list[keras.layers.Layer]:
    """A layer and all layers inside it, in Keras' order."""
    return list(layer._flatten_layers(include_self=include_self))


def seed_generators(layer: keras.layers.Layer) -> list[keras.random.SeedGenerator]:
    """The seed generators of a layer itself, without those of its sublayers."""
    return layer._seed_generators


def batch_counter(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """The optimizer's counter of batches.

    It equals `iterations` unless the optimizer accumulates gradients over several batches.
    """
    inner: Any = getattr(optimizer, "inner_optimizer", optimizer)
    return inner._iterations


def loss_tracker(model: keras.Model) -> keras.metrics.Mean:
    """The metric in which a compiled model averages its loss."""
    return model._loss_tracker


def build_metrics(model: keras.Model, labels: tf.Tensor, predictions: tf.Tensor) -> None:
    """Creates the metrics that a model was compiled with, where Keras would do so itself later.

    A step that creates variables while TensorFlow traces it is traced twice.
    """
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        specs = [keras.KerasTensor(x.shape, x.dtype.name) for x in (labels, predictions)]
        metrics.build(*specs)


def is_optional(tensor: keras.KerasTensor) -> bool:
    """Whether an input of a functional model may be None."""
    layer = tensor._keras_history.operation  # pyright: ignore[reportAttributeAccessIssue]
    return isinstance(layer, keras.layers.InputLayer) and layer.optional


def is_recording() -> bool:
    """Whether a gradient tape is open, which may record what is computed."""
    return record.could_possibly_record()


def keras_mask(tensor: tf.Tensor) -> tf.Tensor | None:
    """The mask that Keras has attached to a tensor, or None.

    For the output of a layer, it tells which time steps count. For the values of a loss, it tells
    which values the mean counts: `ignore_class` makes Keras set it.
    """
    return getattr(tensor, "_keras_mask", None)


def set_keras_mask(tensor: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """The same tensor, to which a mask is attached; see `keras_mask`."""
    if mask is not None:
        tensor._keras_mask = mask  # pyright: ignore[reportAttributeAccessIssue]
    return tensor


def lambda_output_shape(layer: keras.layers.Lambda) -> Any:
    """The argument `output_shape` of a Lambda layer: None, a shape or a function."""
    return layer._output_shape


def graph_functions(graph: tf.Graph) -> Iterable:
    """The functions that a graph calls."""
    return graph._functions.values()


class UndistributedStrategy:
    """What Keras' loops use as `distribute_strategy`: one replica, whose data are not divided."""

    num_replicas_in_sync = 1

    def run(self, function: Callable[..., Any], args: tuple[Any, ...] = ()) -> Any:
        """Calls the function."""
        return function(*args)

    def experimental_distribute_dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """The same data set."""
        return dataset


def hide_strategy(model: keras.Model) -> None:
    """Keeps Keras from dividing the data of a model that was created in a strategy's scope."""
    model._distribute_strategy = None  # pyright: ignore[reportAttributeAccessIssue]


def was_created_in(strategy: tf.distribute.Strategy, optimizer: Any) -> bool:
    """Whether an optimizer's variables belong to the replicas of this strategy."""
    return optimizer._distribution_strategy is strategy


def copy_optimizer(optimizer: Any) -> Any:
    """A new optimizer with the same configuration and state, created in the present scope."""
    copy = type(optimizer).from_config(optimizer.get_config())
    if optimizer.built:
        copy.build(optimizer._trainable_variables)
    for variable, value in zip(copy.variables, optimizer.variables, strict=True):
        variable.assign(value)
    return copy


def without_own_reduction(optimizer: Any) -> Any:
    """The same optimizer, which takes gradients that are already summed over all replicas.

    Keras would clip the gradients of each replica, and add them up afterwards.
    """
    object.__setattr__(optimizer, "_all_reduce_sum_gradients", list)
    return optimizer
