"""What a learner trains and validates on: what Keras iterates over, and the episodes in it."""

import weakref

import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks import Episode, SampledBatches, TaskDistribution
from mtnet_tf.tasks.user_episodes import episode_batches

_PURPOSES = {"train": seeds.Purpose.TRAIN_TASKS, "test": seeds.Purpose.VALIDATION_TASKS}


class EpisodeStreams:
    """Streams of episodes, and the one in use for each role, "train" and "test"."""

    def __init__(self):
        """Nothing is streamed yet."""
        self._known = weakref.WeakKeyDictionary()  # stream -> (tasks, batch size)
        self._sampled = {}  # role -> (tasks, batch size), None for episodes at hand

    def open(self, x, role, batch_size, steps, seed, start):
        """Makes `x` something that Keras iterates over.

        Args:
          x: as for `MetaLearner.fit`.
          role: "train": an endless stream, if `x` is a `TaskDistribution`; "test": `steps` batches.
          batch_size: tasks per batch.
          steps: batches that will be asked for.
          seed: run seed.
          start: function that gives the number of the first batch in training, called when that
            batch is asked for: Keras' callbacks may restore the optimizer before.

        Returns:
          Pair (stream, whether its tasks are others than before).
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

    def samples_in_graph(self, role):
        """Whether the compiled step samples by itself, and its data are numbers of batches."""
        sampled = self._sampled.get(role)
        return sampled is not None and sampled[0].in_graph

    def episode(self, data, role, seed):
        """The `Episode` that is `data`, or that is sampled now."""
        if not self.samples_in_graph(role):
            return Episode(*tf.nest.flatten(data))
        tasks, batch_size = self._sampled[role]
        return tasks.sample(seed, batch_size)
