"""Random inputs that a model accepts, to compare it with its copy."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers

_LOOKUPS = (keras.layers.StringLookup, keras.layers.IntegerLookup)


class RandomInputs:
    """Draws batches of two examples for a model; the end of the second one is padded.

    Floats are normally distributed. Integers are valid for every `Embedding`, `CategoryEncoding`
    and `IntegerLookup` of the model, and strings are words of its vocabularies. Padding is what the
    model's `Masking` and `Embedding(mask_zero=True)` layers mask, and is left out without them.
    """

    def __init__(self, model: keras.Model) -> None:
        """Collects what the layers accept."""
        layers = flatten_layers(model)
        sequential = isinstance(model, keras.Sequential)
        self._inputs: Any = model.inputs[0] if sequential else model.input
        self._random = np.random.default_rng(0)
        self._limit = _smallest_limit(layers)
        words = [_words(x) for x in layers if isinstance(x, _LOOKUPS)]
        self._words = [word for some in words for word in some]
        masking = [x.mask_value for x in layers if isinstance(x, keras.layers.Masking)]
        by_zeros = any(getattr(x, "mask_zero", False) for x in layers)
        self._padding = masking[0] if masking else (0 if by_zeros else None)

    def draw(self, unknown_size: int) -> Any:
        """Draws a batch.

        Args:
            unknown_size: size of the axes, except the first, whose size the model leaves open.

        Returns:
            Tensors in the structure of `model.input`.

        Raises:
            TypeError: if an input has another dtype.
        """
        return keras.tree.map_structure(lambda x: self._draw_one(x, unknown_size), self._inputs)

    def _draw_one(self, spec: Any, unknown_size: int) -> Any:
        first, *rest = spec.shape
        shape = (first or 2, *(unknown_size if size is None else size for size in rest))
        values = self._values(shape, tf.as_dtype(spec.dtype))
        if self._padding is not None and len(shape) > 1 and values.dtype != object:
            values[-1, (shape[1] + 1) // 2 :] = self._padding
        tensor = tf.constant(values, spec.dtype)
        return tf.sparse.from_dense(tensor) if spec.sparse else tensor

    def _values(self, shape: tuple[int, ...], dtype: tf.DType) -> np.ndarray:
        if dtype.is_floating:
            return self._random.normal(size=shape)
        if dtype.is_bool:
            return np.ones(shape, bool)
        if dtype == tf.string:
            return self._random.choice(np.array(self._words or ["a"], object), shape)
        if not dtype.is_integer:
            raise TypeError(f"Inputs of dtype {dtype.name} cannot be drawn.")
        numbers = [word for word in self._words if isinstance(word, int)]
        if numbers:
            return self._random.choice(numbers, shape)
        limit = self._limit or (256 if dtype == tf.uint8 else 2)
        return self._random.integers(min(1, limit - 1), min(limit, dtype.max), size=shape)


def _smallest_limit(layers: list[keras.layers.Layer]) -> int | None:
    """The number that all integers must be below, or None."""
    limits = [x.input_dim for x in layers if isinstance(x, keras.layers.Embedding)]
    limits += [x.num_tokens for x in layers if isinstance(x, keras.layers.CategoryEncoding)]
    return min((limit for limit in limits if limit), default=None)


def _words(layer: keras.layers.Layer) -> list[Any]:
    """Words, or integers, that a lookup layer knows."""
    words = layer.get_vocabulary(include_special_tokens=False)[:100]
    is_text = isinstance(layer, keras.layers.StringLookup)
    return [str(word) if is_text else int(word) for word in words]
