"""Copies of a learner's model with the weights and statistics of one task."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.adaptation.adapted import Adapted
from mtnet_tf.adaptation.adapted_subclass import AdaptedSubclass
from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.conversion import Replacement, copy_of, is_rebuildable, new_layer, rebuild
from mtnet_tf.layers import TaskBatchNormalization

# A value of the network of a task by the id of the variable of the learner's model, or by the
# number of a statistic.
Values = Mapping[Hashable, tf.Tensor]


def network_values(adapter: Adapter, adapted: Adapted) -> dict[Hashable, tf.Tensor]:
    """All that the network of one task computes with.

    Args:
        adapter: `Adapter`.
        adapted: what one task has learned.

    Returns:
        `Values`: for each variable of the model its fast weight or its present value, and for each
        normalisation mean and variance, [C] each.
    """
    pairs = zip(adapter.learner.task_weights, adapted.weights, strict=True)
    learned = {id(weight.variable): value[0] for weight, value in pairs}
    others = {
        id(v): tf.identity(v.value) for v in adapter.learner.model.variables if id(v) not in learned
    }
    statistics = tf.nest.flatten(adapted.statistics)
    numbered = {("statistic", i): value[0, 0] for i, value in enumerate(statistics)}
    return {**learned, **others, **numbered}


@dataclasses.dataclass(frozen=True)
class NetworkCopy:
    """A model of its own for one task.

    Attributes:
        model: Keras model.
        keys: the key in `Values` of each of `model.variables`.
    """

    model: keras.Model
    keys: Sequence[Hashable]

    def another(self, values: Sequence[tf.Tensor]) -> keras.Model:
        """A copy of the model with other values of `model.variables`."""
        pairs = zip(self.model.variables, values, strict=True)
        value_of = {id(variable): value for variable, value in pairs}
        if isinstance(self.model, AdaptedSubclass):
            own = [*self.model.own, *self.model.statistics]
            return self.model.another([value_of[id(v)] for v in own])
        return rebuild(
            self.model, lambda layer: copy_of(layer, [value_of[id(v)] for v in layer.variables])
        )


def copy_network(adapter: Adapter, layers: Sequence[Any], values: Values) -> NetworkCopy:
    """Copies the model of a learner.

    Args:
        adapter: `Adapter`.
        layers: the layers that recorded statistics, see `Adapted`.
        values: `Values`.

    Raises:
        ValueError: if the model cannot be copied.
    """
    model = adapter.learner.model
    if not is_rebuildable(model):
        keys = [*(id(v) for v in model.variables), *_statistics(layers)]
        copy = AdaptedSubclass(model, [values[key] for key in keys])
        key_of = dict(zip(map(id, [*copy.own, *copy.statistics]), keys, strict=True))
        return NetworkCopy(copy, [key_of[id(v)] for v in copy.variables])
    numbers = _number_of_layer(layers)
    replaced: list[tuple[Replacement, list[Hashable]]] = []

    def replace(layer: keras.layers.Layer) -> Replacement:
        keys: list[Hashable] = [id(v) for v in layer.variables]
        if not isinstance(layer, TaskBatchNormalization) or layer.frozen:
            found = copy_of(layer, [values[key] for key in keys])
        else:
            changes = {"frozen": adapter.statistics == "support", "moving_statistics": False}
            unused = (id(layer.moving_mean), id(layer.moving_variance))
            keys = [key for key in keys if key not in unused]
            if id(layer) in numbers:
                keys += _statistics(layers)[2 * numbers[id(layer)] :][:2]
            found = Replacement(new_layer(layer, changes), [values[key] for key in keys])
        replaced.append((found, keys))
        return found

    copy = rebuild(model, replace)
    key_of = {
        id(variable): key
        for replacement, keys in replaced
        for variable, key in zip(replacement.targets(), keys, strict=True)
    }
    return NetworkCopy(copy, [key_of[id(v)] for v in copy.variables])


def _statistics(layers: Sequence[Any]) -> list[Hashable]:
    """The keys of the statistics in `Values`, two for each layer that recorded them."""
    return [("statistic", i) for i in range(2 * len(layers))]


def _number_of_layer(layers: Sequence[Any]) -> dict[int, int]:
    """The position of each layer, by its id."""
    numbers = {id(layer): i for i, layer in enumerate(layers)}
    if len(numbers) < len(layers):
        raise ValueError(
            "A normalisation layer of the model is called more than once, and a layer can store "
            "the statistics of one call only. Adapt with statistics='query', or use one layer for "
            "each call."
        )
    return numbers
