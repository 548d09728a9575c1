"""Copies of layers, with the state that is outside of their weights."""

import functools
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers, lambda_output_shape

_LOOKUPS = (keras.layers.StringLookup, keras.layers.IntegerLookup)
_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.ndarray)


def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Copies a layer from its configuration, and the vocabularies and attributes it has beyond.

    A layer that cannot be copied in this way and has no weights is returned as it is: one that
    holds a table or another object of its own, one that cannot be created from its configuration,
    and a `TFSMLayer`, which belongs to a file.

    Returns:
        The copy, whose weights are new; or `layer`.

    Raises:
        ValueError: if it has weights and cannot be created from its configuration.
    """
    if isinstance(layer, keras.layers.TFSMLayer):
        return layer
    if type(layer) is keras.layers.Lambda:
        return _copy_lambda(layer)
    try:
        copy = new_layer(layer)
    except ValueError:
        if layer.variables:
            raise
        return layer
    copy_vocabularies(layer, copy)
    copy_attributes(layer, copy)
    return layer if _holds_objects(layer, copy) else copy


def _copy_lambda(layer: keras.layers.Lambda) -> keras.layers.Lambda:
    """A layer with the same function: Keras does not load code from a configuration."""
    return keras.layers.Lambda(
        layer.function,
        output_shape=lambda_output_shape(layer),
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        trainable=layer.trainable,
        dtype=layer.dtype_policy,
    )


def new_layer(
    layer: keras.layers.Layer, changes: Mapping[str, Any] | None = None
) -> keras.layers.Layer:
    """Creates a layer of the same class from its configuration.

    Args:
        layer: the layer. The classes of the layers inside it need not be registered with Keras.
        changes: parts of the configuration that are different; None for none.

    Raises:
        ValueError: if the class cannot be created from its own configuration.
    """
    kinds = {type(inside) for inside in flatten_layers(layer)}
    try:
        with keras.saving.CustomObjectScope({kind.__name__: kind for kind in kinds}):
            return type(layer).from_config({**layer.get_config(), **(changes or {})})
    except (NotImplementedError, TypeError, ValueError) as error:
        reason = " ".join(str(error).strip().partition("\n\n")[0].split())
        raise ValueError(
            "A layer must be created again from its configuration. Received: "
            f"{layer.name} of class {type(layer).__name__}, which raises '{reason}' Return all "
            "arguments of the constructor from `get_config`."
        ) from error


def copy_vocabularies(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Copies what the lookup layers in a layer have learned, which no configuration contains."""
    for theirs, ours in _pairs(source, copy):
        if isinstance(theirs, _LOOKUPS):
            words = theirs.get_vocabulary()
            if theirs.get_vocabulary(include_special_tokens=False):
                weighted = theirs.output_mode == "tf_idf"
                weights = theirs.idf_weights.numpy()[: len(words)] if weighted else None
                ours.set_vocabulary(words, weights)


def copy_attributes(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Copies the numbers, strings and arrays that a user's class keeps on a layer.

    Those that a subclass of one of Keras' layers has are copied only if the copy is built, because
    they include those of Keras' class.
    """
    for theirs, ours in _pairs(source, copy):
        if not _is_custom(theirs) or not (ours.built or _extends_layer(theirs)):
            continue
        for name, value in own_attributes(theirs).items():
            if all(isinstance(leaf, _PLAIN) for leaf in keras.tree.flatten(value)):
                setattr(ours, name, _copied(value))


def _copied(value: Any) -> Any:
    """A copy of a value, so that a change of one layer does not change the other.

    Keras' lists and dicts belong to a layer; `map_structure` detaches them, so that the copy does
    not contain the layer.
    """
    try:
        return deepcopy(keras.tree.map_structure(lambda leaf: leaf, value))
    except Exception:  # a class of the user's may raise anything
        return value


def _pairs(source: keras.layers.Layer, copy: keras.layers.Layer) -> Iterator[tuple[Any, Any]]:
    """A layer and the layers inside it with their counterparts in a copy, as far as they exist."""
    for theirs, ours in zip(flatten_layers(source), flatten_layers(copy), strict=False):
        if type(theirs) is type(ours):
            yield theirs, ours


def _holds_objects(layer: keras.layers.Layer, copy: keras.layers.Layer) -> bool:
    """Whether a layer without weights holds objects that its copy does not have."""
    if layer.variables or not _is_custom(layer):
        return False
    copied = vars(copy)
    return not all(_same(v, copied.get(name)) for name, v in own_attributes(layer).items())


def _same(value: Any, copied: Any) -> bool:
    """Whether two attributes have the same structure and equal values."""
    try:
        keras.tree.assert_same_structure(value, copied)
        leaves = zip(keras.tree.flatten(value), keras.tree.flatten(copied), strict=True)
        return all(_same_leaf(*pair) for pair in leaves)
    except Exception:  # a comparison of the user's objects may raise anything
        return False


def _same_leaf(value: Any, copied: Any) -> bool:
    if isinstance(value, keras.layers.Layer | keras.initializers.Initializer):
        return type(value) is type(copied) and value.get_config() == copied.get_config()
    if isinstance(value, np.ndarray | tf.Tensor):
        ours, theirs = np.asarray(value), np.asarray(copied)
        nan = ours.dtype.kind in "fc"  # other types have no NaN, and cannot be compared with it
        return ours.dtype == theirs.dtype and np.array_equal(ours, theirs, equal_nan=nan)
    if value is copied:
        return True
    return type(value) is type(copied) and bool(value == copied)


def _is_custom(layer: keras.layers.Layer) -> bool:
    return type(layer).__module__.split(".")[0] not in ("keras", "mtnet_tf")


def _extends_layer(layer: keras.layers.Layer) -> bool:
    """Whether its class derives from `keras.layers.Layer`, and from no other class of Keras."""
    of_keras = (x for x in type(layer).__mro__ if x.__module__.split(".")[0] == "keras")
    return next(of_keras) is keras.layers.Layer


def own_attributes(layer: keras.layers.Layer) -> dict[str, Any]:
    """The attributes of a layer that are not those of every layer of Keras, by their names."""
    return {name: v for name, v in vars(layer).items() if name not in _attributes_of_keras()}


@functools.cache
def _attributes_of_keras() -> frozenset[str]:
    called = keras.layers.Identity(name="called")
    called(tf.zeros([1, 1]))  # some attributes appear in the first call
    tracking: Any = keras.layers.Layer(name="tracking")
    tracking.mtnet_tf = called  # others when a layer contains another one
    return frozenset([*vars(called), *vars(tracking), "input_spec"])
