"""Episodes that the user provides, as NumPy arrays or a generator, converted to `tf.data`."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_DEFAULT_BATCH_SIZE = 32  # as in Keras


def episode_batches(x: Any, batch_size: int | None = None) -> Any:
    """Converts episodes to something that Keras can iterate over.

    Args:
        x: episodes as arrays, `Episode` or ((support_x, support_y), (query_x, query_y)), each
            [T, n, ...] for T tasks; or an iterator of batches of them, in which the number of
            examples may differ from batch to batch. Anything else is returned unchanged.
        batch_size: tasks per batch, for arrays; 32 by default.

    Returns:
        `tf.data.Dataset` of batches (support_x, support_y, query_x, query_y), or `x`.

    Raises:
        ValueError: if the arrays are not episodes.
    """
    if isinstance(x, tuple | list):
        arrays = _arrays(x)
        if len({len(a) for a in arrays}) > 1:
            raise ValueError(
                "The four arrays of `x` must contain the same number of tasks. "
                f"Received: {[len(a) for a in arrays]} tasks."
            )
        batches = tf.data.Dataset.from_tensor_slices(arrays)
        return batches.batch(batch_size or _DEFAULT_BATCH_SIZE)
    if isinstance(x, Iterator) and not isinstance(x, tf.data.Iterator):
        return _from_iterator(x)
    return x


def _from_iterator(iterator: Iterator[Any]) -> tf.data.Dataset:
    """Batches of episodes in their order. The first one determines shapes and dtypes."""
    first = next(iterator, None)
    if first is None:
        raise ValueError("`x` must yield at least one batch of episodes. Received: none.")
    specs = tuple(
        tf.TensorSpec([None, None, *array.shape[2:]], array.dtype) for array in _arrays(first)
    )
    episodes = map(_arrays, itertools.chain([first], iterator))
    return tf.data.Dataset.from_generator(lambda: episodes, output_signature=specs)


def _arrays(episode: Any) -> tuple[np.ndarray, ...]:
    """The four arrays [B, n, ...] of an episode, floats in Keras' default precision."""
    flat = tf.nest.flatten(episode)[:4]
    parts = [np.asarray(keras.ops.convert_to_numpy(part)) for part in flat]
    if len(parts) != 4 or any(part.ndim < 2 for part in parts):
        raise ValueError(
            "`x` must be episodes ((support_x, support_y), (query_x, query_y)) of arrays "
            "[tasks, examples, ...]. "
            f"Received: arrays of shapes {[list(part.shape) for part in parts]}."
        )
    floats = keras.config.floatx()
    return tuple(p.astype(floats) if np.issubdtype(p.dtype, np.floating) else p for p in parts)
