"""The adapted form of a subclass of `keras.Model`, which has no graph that could be copied."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers import FastWeightScope, SetStatistics


class AdaptedSubclass(keras.Model):
    """Computes what another model computes, with its own values of all variables.

    It can be called, trained and exported like any Keras model. It can be saved as weights, but not
    as a `.keras` file, because it contains Python code of another class.
    """

    def __init__(
        self, model: keras.Model, values: Sequence[Any], statistics: list[Any] | None
    ) -> None:
        """Copies the values.

        Args:
            model: built model, of any class.
            values: one for each of `model.variables`.
            statistics: pairs (mean, variance), [1, 1, C] each, one for each call of a normalisation
                layer, by which all examples are normalised; None to normalise each set by its own.
        """
        super().__init__(name=model.name)
        # A layer in an attribute would be tracked, with variables that are not used.
        self._compute = model.__call__
        self._replaced = model.variables
        self._statistics = statistics
        self.own = [
            keras.Variable(keras.ops.convert_to_numpy(value), dtype=v.dtype, trainable=v.trainable)
            for value, v in zip(values, self._replaced, strict=True)
        ]
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """The outputs of the model with the own values of its variables."""
        pairs = zip(self._replaced, [v.value for v in self.own], strict=True)
        statistics = None if self._statistics is None else SetStatistics(self._statistics)
        with keras.StatelessScope(list(pairs)), FastWeightScope([], 1, statistics):
            return self._compute(inputs, training=training)
