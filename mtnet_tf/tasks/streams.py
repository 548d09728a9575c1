"""What Keras iterates over when a learner trains and validates, and the episodes in it."""

import weakref
from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks.episode import Episode
from mtnet_tf.tasks.episode_structure import read_episode
from mtnet_tf.tasks.sampled_stream import SampledBatches
from mtnet_tf.tasks.task_distribution import TaskDistribution
from mtnet_tf.tasks.user_episodes import episode_arrays, episode_batches

Role = Literal["train", "test"]
_PURPOSES = {"train": seeds.Purpose.TRAIN_TASKS, "test": seeds.Purpose.VALIDATION_TASKS}


class EpisodeStreams:
    """Streams of episodes, and the one in use for each role, "train" and "test"."""

    def __init__(self) -> None:
        """Creates an object without streams."""
        # Stream -> (tasks, batch size).
        self._known: weakref.WeakKeyDictionary[Any, tuple[TaskDistribution, int]] = (
            weakref.WeakKeyDictionary()
        )
        # Role -> (tasks, batch size), or None for episodes that the user provides.
        self._sampled: dict[str, tuple[TaskDistribution, int] | None] = {}

    def open(
        self,
        x: Any,
        role: Role,
        batch_size: int | None,
        steps: int | None,
        seed: int,
        start: Callable[[], int],
    ) -> tuple[Any, bool]:
        """Converts `x` to something that Keras can iterate over.

        Args:
            x: as for `EpisodicLearner.fit`.
            role: "train" makes an endless stream of a `TaskDistribution`, "test" `steps` batches.
            batch_size: tasks per batch.
            steps: number of batches that will be requested.
            seed: run seed.
            start: function that returns the number of the first training batch. It is called when
                that batch is requested, because Keras' callbacks may restore the optimizer first.

        Returns:
            Pair (stream, whether its tasks differ from those of the previous stream of this role).
        """
        stream = episode_batches(x, batch_size)
        if isinstance(x, TaskDistribution):
            numbers = start if role == "train" else range(steps or 0)
            sampled = SampledBatches.of(x, batch_size, steps, numbers, seed, _PURPOSES[role])
            stream = sampled.stream
            self._known[stream] = (sampled.tasks, sampled.batch_size)
        before = self._sampled.get(role)
        # Keras' `fit` validates through `evaluate`, with the stream that it was given.
        is_known = isinstance(stream, tf.data.Dataset) and stream in self._known
        self._sampled[role] = self._known[stream] if is_known else None
        return stream, before != self._sampled[role]

    def batch(self, x: Any, role: Role) -> tuple[dict[str, Any], bool]:
        """Converts one batch of episodes that the user provides.

        Args:
            x: arrays [B, n, ...] in a structure that `read_episode` accepts.
            role: "train" or "test".

        Returns:
            Pair (dict with fields of `Episode`, whether the previous data of this role were
            different ones, sampled from a distribution).
        """
        changed = self._sampled.get(role) is not None
        self._sampled[role] = None
        return episode_arrays(x), changed

    def samples_in_graph(self, role: Role) -> bool:
        """Whether the compiled step samples its tasks, and its data are numbers of batches."""
        return self.sampled(role) is not None

    def sampled(self, role: Role) -> tuple[TaskDistribution, int] | None:
        """(tasks, batch size) of what the compiled step samples; None if its data are episodes."""
        sampled = self._sampled.get(role)
        return sampled if sampled is not None and sampled[0].in_graph else None

    def episode(self, data: Any, role: Role, seed: tf.Tensor) -> Episode:
        """The `Episode` in `data`, or one sampled with `seed`."""
        sampled = self.sampled(role)
        if sampled is None:
            return read_episode(data)
        tasks, batch_size = sampled
        return read_episode(tasks.sample(seed, batch_size))
