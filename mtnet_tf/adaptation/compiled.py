"""Adaptations of one learner as compiled functions, which are kept for later ones."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.adaptation.constants import constants_of, constants_of_layers, plain_attributes
from mtnet_tf.adaptation.finiteness import is_finite
from mtnet_tf.adaptation.lazy_model import LazyModel
from mtnet_tf.adaptation.model_inputs import Inputs, ModelInputs
from mtnet_tf.adaptation.network_copy import NetworkCopy, copy_network, network_values

# Functions that are kept for one learner; the one that was not used for longest is dropped.
_NUM_KEPT = 16


class CompiledAdaptation:
    """An adaptation to one task, and the predictions of its network, as compiled functions.

    They read the present values of variables. They contain the options of `adapter`, and all else
    that is not a variable.
    """

    def __init__(self, adapter: Adapter, support: tuple[Any, ...]) -> None:
        """Compiles the adaptation.

        Args:
            adapter: `Adapter`.
            support: x [1, n, ...], y [1, n, ...] and, if they are given, weights [1, n]. The
                function takes sets of any n.
        """
        self._adapter = adapter
        self._keys: list[Hashable] = []  # of the values that the compiled function returns
        self._layers: list[Any] = []
        self._copy: NetworkCopy | None = None
        self._predict: Any = None

        def learn(seed: tf.Tensor, *parts: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
            parts_of_set = tf.nest.pack_sequence_as(support, parts)
            masks = adapter.masks if isinstance(adapter.masks, str) else seed
            adapted, _, outputs = adapter.learn(parts_of_set, masks)
            values = network_values(adapter, adapted)
            self._keys, self._layers = list(values), adapted.layers
            checked = [*adapted.weights, *([] if outputs is None else [outputs])]
            finite = tf.reduce_all([is_finite(tensor) for tensor in checked])
            return list(values.values()), finite

        specs = [tf.TensorSpec([1, None, *t.shape[2:]], t.dtype) for t in tf.nest.flatten(support)]
        self._learn = _traced(learn, tf.TensorSpec([2], tf.int32), *specs)

    def adapt(self, support: tuple[Any, ...], masks: str | int) -> keras.Model | None:
        """The model adapted to a support set; None if something in it is not finite.

        Args:
            support: as in the constructor.
            masks: as in `Adapter`.
        """
        seed = self._adapter.learner.mask_seed(0 if isinstance(masks, str) else masks)
        found, finite = self._learn(seed, *tf.nest.flatten(support))
        if not finite:
            return None
        values = dict(zip(self._keys, found, strict=True))
        if self._copy is None:
            self._copy = copy_network(self._adapter, self._layers, values)
        copy, ordered = self._copy, [values[key] for key in self._copy.keys]
        return LazyModel(
            type(copy.model),
            convert=lambda x: self._adapter.inputs.convert(x, "x"),
            compute=lambda x: self._predict_with(copy.model, ordered, x),
            create=lambda: copy.another(ordered),
        )

    def _predict_with(self, model: keras.Model, values: list[tf.Tensor], x: Inputs) -> Any:
        """Outputs of a model [n, ...] with other values of its variables."""
        if self._predict is None:
            self._predict = self._trace_predict(model)
        return self._predict(*values, *tf.nest.flatten(x))

    def _trace_predict(self, model: keras.Model) -> Any:
        """Compiled function: values of the variables of `model`, inputs [n, ...] -> outputs."""
        variables, inputs = model.variables, self._adapter.inputs

        def predict(*tensors: tf.Tensor) -> Any:
            values, x = tensors[: len(variables)], tensors[len(variables) :]
            with keras.StatelessScope(list(zip(variables, values, strict=True))):
                return model(inputs.pack(list(x)), training=False)

        specs = [tf.TensorSpec(v.shape, v.dtype) for v in variables]
        return _traced(predict, *specs, *inputs.specs)


def _traced(function: Any, *specs: tf.TensorSpec) -> Any:
    """A function of tensors of known shapes, compiled. It is never compiled a second time."""
    return tf.function(function, autograph=False).get_concrete_function(*specs)


class AdaptationCache:
    """The compiled adaptations of one learner.

    An adaptation is compiled again after a change of an option, of the update rule, of the loss or
    of an attribute of a layer. A new value of a variable does not require it.
    """

    def __init__(self) -> None:
        """Creates an empty cache."""
        self._found: OrderedDict[Hashable, CompiledAdaptation] = OrderedDict()
        self._inputs: tuple[keras.Model, ModelInputs] | None = None

    def __len__(self) -> int:
        """Number of compiled adaptations."""
        return len(self._found)

    def inputs(self, model: keras.Model) -> ModelInputs:
        """The inputs of the model of the learner."""
        if self._inputs is None or self._inputs[0] is not model:
            self._inputs = model, ModelInputs(model)
        return self._inputs[1]

    def get(self, adapter: Adapter, support: tuple[Any, ...]) -> CompiledAdaptation:
        """The compiled adaptation to sets like `support`, with the options of `adapter`.

        Args:
            adapter: `Adapter`.
            support: x [1, n, ...], y [1, n, ...] and, if they are given, weights [1, n].
        """
        key = _constants(adapter, support)
        found = self._found.pop(key, None) or CompiledAdaptation(adapter, support)
        self._found[key] = found
        if len(self._found) > _NUM_KEPT:
            self._found.popitem(last=False)
        return found


def _constants(adapter: Adapter, support: tuple[Any, ...]) -> Hashable:
    """All that a compiled adaptation contains."""
    learner = adapter.learner
    draws = not isinstance(adapter.masks, str)
    return (
        (adapter.num_inner_steps, draws, adapter.statistics, adapter.num_ways),
        tuple((tuple(t.shape[2:]), t.dtype) for t in tf.nest.flatten(support)),
        constants_of_layers(learner.model, learner.update_rule),
        constants_of(learner.task_loss),
        plain_attributes(learner),
    )
