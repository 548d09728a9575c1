"""Episodes that a user has at hand, NumPy arrays or a generator of them, as `tf.data`."""

import itertools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf


def episode_batches(x, batch_size=None):
    """What `fit` can iterate over.

    Args:
      x: episodes as arrays, `Episode` or ((support_x, support_y), (query_x, query_y)), each
        [T, n, ...] for T tasks; or an iterator of batches of them, each of any number of ways
        and shots; anything else is returned as it is.
      batch_size: tasks per batch, for arrays; default: 32, as Keras'.

    Returns:
      `tf.data.Dataset` of batches (support_x, support_y, query_x, query_y), or `x`.

    Raises:
      ValueError: for arrays that are no episodes.
    """
    if isinstance(x, tuple | list):
        arrays = _arrays(x)
        if len({len(a) for a in arrays}) > 1:
            raise ValueError(
                "The four arrays of `x` must hold the same number of tasks. "
                f"Received: {[len(a) for a in arrays]} tasks."
            )
        return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size or 32)
    if isinstance(x, Iterator) and not isinstance(x, tf.data.Iterator):
        return _from_iterator(x)
    return x


def _from_iterator(iterator):
    first = next(iterator, None)
    if first is None:
        raise ValueError("`x` must yield at least one batch of episodes. Received: none.")
    specs = tuple(
        tf.TensorSpec([None, None, *array.shape[2:]], array.dtype) for array in _arrays(first)
    )
    episodes = map(_arrays, itertools.chain([first], iterator))
    return tf.data.Dataset.from_generator(lambda: episodes, output_signature=specs)


def _arrays(episode):
    """The four arrays [B, n, ...] of an episode, floats of Keras' default precision."""
    parts = [keras.ops.convert_to_numpy(part) for part in tf.nest.flatten(episode)[:4]]
    if len(parts) != 4 or any(part.ndim < 2 for part in parts):
        raise ValueError(
            "`x` must be episodes ((support_x, support_y), (query_x, query_y)) of arrays "
            "[tasks, examples, ...]. "
            f"Received: arrays of shapes {[list(part.shape) for part in parts]}."
        )
    floats = keras.config.floatx()
    return tuple(p.astype(floats) if np.issubdtype(p.dtype, np.floating) else p for p in parts)
