"""Watches the calls of layers."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras


@contextlib.contextmanager
def observed_calls(
    layers: Iterable[keras.layers.Layer], observe: Callable[..., Any]
) -> Iterator[None]:
    """Inside the context, layers call a function in place of their `call`.

    Args:
        layers: the layers.
        observe: function (layer, its `call`, positional arguments, keyword arguments) -> outputs.
    """
    with contextlib.ExitStack() as stack:
        for layer in layers:
            call = functools.partial(_observed, observe, layer, layer.call)
            stack.enter_context(_call_replaced(layer, call))
        yield


def _observed(
    observe: Callable[..., Any], layer: Any, call: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    return observe(layer, call, args, kwargs)


@contextlib.contextmanager
def _call_replaced(layer: keras.layers.Layer, call: Callable[..., Any]) -> Iterator[None]:
    """Replaces the `call` of one layer, and restores it even if the body raises."""
    own = vars(layer).get("call")  # usually None: `call` belongs to the class
    object.__setattr__(layer, "call", call)  # without Keras, which would track the attribute
    try:
        yield
    finally:
        if own is None:
            object.__delattr__(layer, "call")
        else:
            object.__setattr__(layer, "call", own)
