"""Every private name of Keras and TensorFlow that this package uses, each in one function.

Nothing else in the package may touch a private name of either (`test_keras_internals` checks it),
so that only this file must be checked against a new version of Keras.
"""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras.src.models.functional import Functional

__all__ = [
    "Functional",
    "batch_counter",
    "flatten_layers",
    "graph_functions",
    "loss_mask",
    "loss_tracker",
    "seed_generators",
]


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


def loss_mask(values: tf.Tensor) -> tf.Tensor | None:
    """Which values of a loss its mean counts; None for all. `ignore_class` makes Keras set it."""
    return getattr(values, "_keras_mask", None)


def graph_functions(graph: tf.Graph) -> Iterable:
    """The functions that a graph calls."""
    return graph._functions.values()
