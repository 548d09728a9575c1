"""The adapted form of a subclass of `keras.Model`, which has no graph that could be copied."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers import FastWeightScope, SetStatistics


class AdaptedSubclass(keras.Model):
    """Computes what another model computes, with its own values of all variables.

    It can be called, trained and exported like any Keras model. It can be saved as weights, but not
    as a `.keras` file, because it contains Python code of another class.

    Attributes:
        own: a variable for each variable of the other model.
        statistics: mean and variance, [C] each, for each call of a normalisation layer.
        another: function that creates such a model from other values.
    """

    def __init__(self, model: keras.Model, values: Sequence[Any]) -> None:
        """Copies the values.

        Args:
            model: built model, of any class.
            values: one for each of `model.variables`; then mean and variance, [C] each, for each
                call of a normalisation layer, by which all examples are normalised. Without them,
                each set is normalised by its own.
        """
        super().__init__(name=model.name)
        # Keras would track a layer, or its variables, and take them for variables of this model.
        self._source = lambda: model
        self.another = functools.partial(AdaptedSubclass, model)
        self.own = [
            _copied(value, v.dtype, v.trainable)
            for value, v in zip(values, model.variables, strict=False)
        ]
        self.statistics = [_copied(value) for value in values[len(self.own) :]]
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """The outputs of the model with the own values of its variables."""
        model = self._source()
        pairs = zip(model.variables, [v.value for v in self.own], strict=True)
        flat = [v.value[None, None] for v in self.statistics]  # [1, 1, C]
        recorded = list(zip(flat[::2], flat[1::2], strict=True))
        statistics = SetStatistics(recorded) if recorded else None
        with keras.StatelessScope(list(pairs)), FastWeightScope([], 1, statistics):
            return model(inputs, training=training)


def _copied(value: Any, dtype: Any = None, trainable: bool = False) -> keras.Variable:
    value = keras.ops.convert_to_numpy(value)
    return keras.Variable(value, dtype=dtype or value.dtype.name, trainable=trainable)
