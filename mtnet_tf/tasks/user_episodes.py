"""Episodes that the user provides, as NumPy arrays or a generator, converted to `tf.data`."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks.episode import Episode
from mtnet_tf.tasks.episode_structure import check_shapes, find_parts
from mtnet_tf.tasks.task_distribution import TaskDistribution

_DEFAULT_BATCH_SIZE = 32  # as in Keras


def episode_batches(x: Any, batch_size: int | None = None) -> Any:
    """Converts episodes to something that Keras can iterate over.

    Args:
        x: episodes as arrays, in a structure that `read_episode` accepts, each [T, n, ...] for T
            tasks; or an iterator of batches of them, in which the number of examples may differ
            from batch to batch. Anything else is returned unchanged.
        batch_size: tasks per batch, for arrays; 32 by default.

    Returns:
        `tf.data.Dataset` of batches, dicts with the fields of `Episode`; or `x`.

    Raises:
        ValueError: if the arrays are not episodes.
    """
    if _is_arrays(x):
        arrays: Any = episode_arrays(x)  # any structure of arrays
        batches = tf.data.Dataset.from_tensor_slices(arrays)
        size = _DEFAULT_BATCH_SIZE if batch_size is None else batch_size
        return batches.batch(seeds.validate_integer("batch_size", size, 1))
    if isinstance(x, Iterator) and not isinstance(x, tf.data.Iterator):
        return _from_iterator(x)
    return x


def split_last(x: Any, fraction: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits off the last tasks of arrays, as Keras' `validation_split` does.

    Args:
        x: episodes as arrays [T, n, ...].
        fraction: between 0 and 1, fraction of the tasks in the second part.

    Returns:
        Pair of dicts with the fields of `Episode`.

    Raises:
        ValueError: if `x` are not arrays, or if one of the parts would be empty.
    """
    if not _is_arrays(x):
        kind = "a TaskDistribution" if isinstance(x, TaskDistribution) else type(x).__name__
        raise ValueError(
            "`validation_split` must only be used with episodes as arrays. Received: "
            f"x={kind}. Use `validation_data`."
        )
    arrays = episode_arrays(x)
    total = len(arrays["support_y"])
    kept = int(total * (1 - fraction)) if 0 < fraction < 1 else 0
    if not 0 < kept < total:
        raise ValueError(
            "`validation_split` must be a fraction between 0 and 1 that leaves at least one task "
            f"in each part. Received: validation_split={fraction}, {total} tasks."
        )
    first, last = (
        tf.nest.map_structure(lambda array, part=part: array[part], arrays)
        for part in (slice(None, kept), slice(kept, None))
    )
    return first, last


def _is_arrays(x: Any) -> bool:
    is_record = dataclasses.is_dataclass(x) and not isinstance(x, TaskDistribution)
    return isinstance(x, tuple | list | Mapping) or is_record


def _from_iterator(iterator: Iterator[Any]) -> tf.data.Dataset:
    """Batches of episodes in their order. The first one determines shapes and dtypes."""
    first = next(iterator, None)
    if first is None:
        raise ValueError("`x` must yield at least one batch of episodes. Received: none.")
    first = episode_arrays(first)
    specs = tf.nest.map_structure(
        lambda array: tf.TensorSpec([None, None, *array.shape[2:]], array.dtype), first
    )
    episodes = itertools.chain([first], map(episode_arrays, iterator))
    return tf.data.Dataset.from_generator(lambda: episodes, output_signature=specs)


def episode_arrays(episodes: Any) -> dict[str, Any]:
    """The arrays of an episode batch by field, floats in Keras' default precision.

    Args:
        episodes: arrays [B, n, ...] in a structure that `read_episode` accepts.

    Raises:
        ValueError: if the arrays are not episodes.
    """
    given = {n: v for n, v in find_parts(episodes)._asdict().items() if v is not None}
    arrays: dict[str, Any] = {
        name: tf.nest.map_structure(_array, value) if name.endswith("_x") else _array(value)
        for name, value in given.items()
    }
    check_shapes(Episode(**arrays))
    # `tf.data` takes a list for the rows of one array.
    return {n: tuple(v) if isinstance(v, list) else v for n, v in arrays.items()}


def _array(value: Any) -> np.ndarray:
    array = np.asarray(keras.ops.convert_to_numpy(value))
    is_float = np.issubdtype(array.dtype, np.floating)
    return array.astype(keras.config.floatx()) if is_float else array
