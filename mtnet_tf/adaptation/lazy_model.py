"""`LazyModel`: a Keras model whose layers are created when they are needed."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import is_recording

_BATCH_SIZE = 32  # of `keras.Model.predict`


class LazyModel(keras.Model):
    """A model that predicts before it exists, and becomes an ordinary one when it is used further.

    Creating the layers and variables of a model takes several times as long as adapting it. Until
    they are needed, a shared function predicts. The first access to anything else, such as
    `weights`, `layers`, `save` or `fit`, creates the model, and this object turns into it: it then
    has the class and the attributes of that model. `importlib.util.LazyLoader` does the same with
    modules.
    """

    def __new__(cls, kind: Any, convert: Any, compute: Any, create: Any) -> "LazyModel":
        """Creates the object without the attributes of a Keras model."""
        return object.__new__(cls)

    def __init__(
        self,
        kind: type[keras.Model],
        convert: Callable[[Any], Any],
        compute: Callable[[Any], Any],
        create: Callable[[], keras.Model],
    ) -> None:
        """Stores the functions.

        Args:
            kind: class of the model, of which this object claims to be an instance.
            convert: converts inputs [n, ...] to the tensors that `compute` takes; raises ValueError
                if it cannot.
            compute: function from them to the outputs [n, ...] of the model.
            create: creates the model.
        """
        object.__setattr__(self, "__dict__", {"lazy": (kind, convert, compute, create)})

    def __getattribute__(self, name: str) -> Any:
        """The attribute of the model, which is created; or a method of this class."""
        if name in ("predict", "__reduce_ex__"):
            return object.__getattribute__(self, name)
        if name == "__class__" and type(self) is LazyModel:
            return _functions(self)[0]
        return getattr(_created(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute of the model, which is created."""
        setattr(_created(self), name, value)

    def __delattr__(self, name: str) -> None:
        """Deletes an attribute of the model, which is created."""
        delattr(_created(self), name)

    def __repr__(self) -> str:
        """The representation of the model, which is created."""
        return repr(_created(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickles the model, which is created."""
        return _created(self).__reduce_ex__(protocol)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Outputs of the model, see `keras.Model.__call__`."""
        others = {**kwargs, "training": kwargs.get("training") or None}
        if len(args) == 1 and others == {"training": None}:
            x = _convert(self, args[0])
            if x is not None:
                return _functions(self)[2](x)
        return _created(self)(*args, **kwargs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Outputs of the model as arrays, see `keras.Model.predict`."""
        inputs = None
        if verbose == 0 and steps is None and not callbacks:  # else Keras shows progress
            inputs = _convert(self, x)
        if inputs is None:
            return _created(self).predict(x, batch_size, verbose, steps, callbacks)  # pyright: ignore[reportArgumentType]
        size, count = batch_size or _BATCH_SIZE, len(tf.nest.flatten(inputs)[0])
        parts = [
            _functions(self)[2](tf.nest.map_structure(lambda t, i=i: t[i : i + size], inputs))
            for i in range(0, count, size)
        ]
        return tf.nest.map_structure(lambda *t: np.concatenate([a.numpy() for a in t]), *parts)


def _functions(model: LazyModel) -> tuple[Any, Any, Any, Any]:
    """The arguments of a model that was not created yet."""
    return object.__getattribute__(model, "__dict__")["lazy"]


def _convert(model: LazyModel, x: Any) -> Any:
    """Inputs as tensors; None if only the created model can compute its outputs."""
    symbolic = any(isinstance(part, keras.KerasTensor) for part in tf.nest.flatten(x))
    if symbolic or not tf.executing_eagerly() or is_recording():
        return None
    try:
        return _functions(model)[1](x)
    except (TypeError, ValueError):  # Keras describes what is wrong, or accepts it
        return None


def _created(model: LazyModel) -> keras.Model:
    """The same object, as the model that it stands for."""
    if type(model) is LazyModel:
        created = _functions(model)[3]()
        object.__setattr__(model, "__dict__", vars(created))
        object.__setattr__(model, "__class__", type(created))
    return model
