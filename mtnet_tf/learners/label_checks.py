"""Checks of the labels of episodes on the host, before and during training."""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf.tasks import Episode, Role, TaskDistribution, read_episode

# Function (support labels [B, n, ...], query labels [B, m, ...], role) that raises ValueError.
Check = Callable[[np.ndarray, np.ndarray, Role], None]


class LabelChecks:
    """Calls a check of labels on the host, also from programs that TensorFlow runs.

    The first batch of each stream is checked when it is requested, and no batch is requested
    earlier: a stream may be an iterator, or shuffle its episodes in another order each time.
    """

    def __init__(self, check: Check) -> None:
        """Stores the check.

        Args:
            check: `Check`.
        """
        self._check = check
        # Tasks and streams by identity, because a dataclass may have no hash.
        self._checked: dict[Role, weakref.WeakValueDictionary[int, Any]] = {}
        self.reset()
        self._error: ValueError | None = None

    def reset(self) -> None:
        """Forgets what was checked, since it must be checked for another loss."""
        self._checked = {
            "train": weakref.WeakValueDictionary(),
            "test": weakref.WeakValueDictionary(),
        }

    def stream(self, x: Any, stream: Any, role: Role, seed: tf.Tensor, batch_size: Any) -> Any:
        """The same stream, whose first batch is checked: now, or when it is requested.

        Args:
            x: what the user provided.
            stream: what Keras iterates over, made from `x`.
            role: "train" or "test".
            seed: stateless seed of a sample, if `x` is a `TaskDistribution`.
            batch_size: number of tasks of this sample.
        """
        checked = self._checked[role]
        if id(x) not in checked:
            stream = self._checked_stream(x, stream, role, seed, batch_size)
        if isinstance(stream, tf.data.Dataset):
            checked[id(stream)] = stream  # Keras' `fit` passes it to `evaluate`
        return stream

    def _checked_stream(
        self, x: Any, stream: Any, role: Role, seed: tf.Tensor, batch_size: Any
    ) -> Any:
        if isinstance(x, TaskDistribution):
            self._check(*_sampled_labels(x, seed, batch_size), role)
        elif isinstance(x, keras.utils.PyDataset):  # Keras, too, reads its first batches early
            self.batch(x[0], role)
        elif isinstance(stream, tf.data.Dataset):
            return self._first_batch(stream, role)
        else:
            return stream
        self._checked[role][id(x)] = x
        return stream

    def batch(self, data: Any, role: Role) -> None:
        """Checks one batch of episodes, in any structure of arrays."""
        episode = read_episode(data)
        support_y, query_y = (
            np.asarray(keras.ops.convert_to_numpy(y)) for y in (episode.support_y, episode.query_y)
        )
        self._check(support_y, query_y, role)

    def each_batch(self, episode: Episode, role: Role) -> Episode:
        """The same episode, which a program checks whenever it runs. It must not use XLA."""
        with tf.control_dependencies([self._call(episode, role)]):
            return episode._replace(
                support_y=tf.identity(episode.support_y), query_y=tf.identity(episode.query_y)
            )

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Raises the error of a check instead of the one that TensorFlow makes of it."""
        self._error = None
        try:
            yield
        except tf.errors.OpError:
            if self._error is None:
                raise
            raise self._error from None

    def _first_batch(self, stream: tf.data.Dataset, role: Role) -> tf.data.Dataset:
        @tf.autograph.experimental.do_not_convert
        def checked(number: tf.Tensor, data: Any) -> Any:
            tf.cond(number == 0, lambda: self._call(read_episode(data), role), lambda: True)
            return data

        return stream.enumerate().map(checked)

    def _call(self, episode: Episode, role: Role) -> tf.Tensor:
        def call(support_y: np.ndarray, query_y: np.ndarray) -> bool:
            try:
                self._check(support_y, query_y, role)
            except ValueError as error:
                self._error = error
                raise
            return True

        return tf.numpy_function(call, [episode.support_y, episode.query_y], tf.bool)


def _sampled_labels(
    tasks: TaskDistribution, seed: tf.Tensor, num_tasks: int
) -> tuple[np.ndarray, np.ndarray]:
    """The labels of a sample of tasks. A compiled program computes nothing else of it."""

    @tf.function(autograph=False)
    def sample() -> tuple[tf.Tensor, tf.Tensor]:
        episode = read_episode(tasks.sample(seed, num_tasks))
        return episode.support_y, episode.query_y

    support_y, query_y = sample()
    return support_y.numpy(), query_y.numpy()
