"""N-way K-shot classification of pictures, sampled in-graph from one packed array."""

import math

import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks.episode import Episode, TaskDistribution

# Bytes. Omniglot's training characters take 17 MB, MiniImagenet's training pictures 813 MB.
LARGEST_IN_GRAPH = 2**28


class ImageClasses(TaskDistribution):
    """Tasks of `num_ways` distinct classes, `num_shots` + `num_queries` pictures of each.

    Support and query are disjoint, and labels are shuffled: class order within a task is random.
    With `rotations` each class of a task is turned by 0, 90, 180 or 270 degrees, the same turn
    for its support and its query pictures.

    Attributes:
      classes: numbers of the classes in use among those of the whole array, ints [C].
    """

    def __init__(
        self,
        images,
        counts,
        *,
        num_ways,
        num_shots,
        num_queries,
        rotations=False,
        classes=None,
        in_graph=None,
    ):
        """Stores the pictures.

        Args:
          images: uint8 array [P, H, W, C], class by class; may be memory-mapped.
          counts: pictures of each class, ints that sum to P.
          num_ways: N, classes of a task.
          num_shots: K, labelled pictures per class.
          num_queries: Q, query pictures per class.
          rotations: see above; needs square pictures.
          classes: numbers of the classes to use, None for all.
          in_graph: whether to copy the pictures of those classes to the device, where a compiled
            step samples them by itself; else they stay where they are, and only those of an
            episode are read, ahead of the step. None: where they take at most 256 MB.

        Raises:
          ValueError: where there are too few classes or pictures, or counts don't sum to P.
        """
        counts = np.asarray(counts, np.int32)
        classes = np.arange(len(counts)) if classes is None else np.asarray(classes)
        _check(images, counts, classes, num_ways, num_shots + num_queries, rotations)
        self.classes = classes
        self.num_ways = num_ways
        self.num_shots = num_shots
        self.num_queries = num_queries
        self.rotations = rotations
        self.image_shape = tuple(images.shape[1:])
        starts = (np.cumsum(counts) - counts)[classes]
        counts = counts[classes]
        size = int(counts.sum()) * math.prod(self.image_shape)
        self.in_graph = size <= LARGEST_IN_GRAPH if in_graph is None else in_graph
        self._images = images
        if self.in_graph:
            rows = [np.arange(s, s + n) for s, n in zip(starts, counts, strict=True)]
            # A variable is passed to the compiled step by reference; a constant would be copied
            # into its program.
            kept = images[np.concatenate(rows)]
            self._images = tf.Variable(kept, trainable=False, dtype=tf.uint8)
            starts = np.cumsum(counts) - counts
        self._classes = tf.constant(classes, tf.int32)
        self._counts = tf.constant(counts)
        self._largest = int(counts.max())
        self._starts = tf.constant(starts, tf.int32)

    def sample(self, seed, num_tasks):
        """Draws tasks.

        Pictures are float32 in [0, 1]. Example i of a half belongs to class `i % N`.

        Returns:
          `Episode` with pictures [B, N*K, H, W, C] and [B, N*Q, H, W, C], labels int32
          [B, N*K] and [B, N*Q], and `classes` as they are numbered in the whole array.
        """
        class_seed, picture_seed, rotation_seed = seeds.split(seed, 3)
        classes = self._draw_classes(class_seed, num_tasks)  # [B, N]
        pictures = self._draw_pictures(picture_seed, classes)  # [B, K+Q, N]
        x = tf.cast(self._read(pictures), tf.float32) / 255.0  # [B, K+Q, N, H, W, C]
        if self.rotations:
            x = rotate(x, self._draw_turns(rotation_seed, num_tasks))
        labels = tf.range(self.num_ways)[None, None, :]
        labels = tf.tile(labels, [num_tasks, self.num_shots + self.num_queries, 1])
        k = self.num_shots
        return Episode(
            self._join(x[:, :k]),
            self._join(labels[:, :k]),
            self._join(x[:, k:]),
            self._join(labels[:, k:]),
            tf.gather(self._classes, classes),
        )

    def _draw_classes(self, seed, num_tasks):
        # The largest of independent numbers: N distinct classes in random order.
        shape = [num_tasks, self._counts.shape[0]]
        return tf.math.top_k(seeds.uniform(shape, seed), self.num_ways).indices

    def _draw_pictures(self, seed, classes):
        counts = tf.gather(self._counts, classes)  # [B, N]
        scores = seeds.uniform([*classes.shape, self._largest], seed)
        exists = tf.range(self._largest) < counts[..., None]
        per_class = self.num_shots + self.num_queries
        chosen = tf.math.top_k(tf.where(exists, scores, -1.0), per_class).indices  # [B, N, K+Q]
        pictures = tf.gather(self._starts, classes)[..., None] + chosen
        return tf.transpose(pictures, [0, 2, 1])

    def _read(self, rows):
        if self.in_graph:
            return tf.gather(self._images, rows)
        pictures = tf.numpy_function(self._images.__getitem__, [rows], tf.uint8)
        return tf.ensure_shape(pictures, [*rows.shape, *self.image_shape])

    def _draw_turns(self, seed, num_tasks):
        shape = [num_tasks, 1, self.num_ways]
        return seeds.integers(shape, seed, 4)

    def _join(self, x):
        return tf.reshape(x, [x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]])


def rotate(images, turns):
    """Turns pictures anticlockwise by quarter turns.

    Args:
      images: [..., H, W, C], H = W.
      turns: ints that broadcast against [...], 0 to 3.

    Returns:
      Tensor like `images`.
    """
    turns = turns[..., None, None, None]
    half = tf.reverse(images, [-3, -2])
    images = tf.where(turns >= 2, half, images)
    rank = images.shape.rank
    axes = [*range(rank - 3), rank - 2, rank - 3, rank - 1]
    quarter = tf.reverse(tf.transpose(images, axes), [-3])
    return tf.where(turns % 2 == 1, quarter, images)


def _check(images, counts, classes, num_ways, per_class, rotations):
    if images.ndim != 4 or counts.sum() != len(images):
        raise ValueError(
            "`images` must be [P, H, W, C] with the sum of `counts` as P. Received: "
            f"images.shape={images.shape}, sum(counts)={counts.sum()}."
        )
    if len(classes) < num_ways:
        raise ValueError(
            f"`num_ways` must not exceed the number of classes, {len(classes)}. "
            f"Received: num_ways={num_ways}."
        )
    if counts[classes].min() < per_class:
        raise ValueError(
            f"Every class needs num_shots + num_queries = {per_class} pictures. Received: a class "
            f"of {counts[classes].min()}. Ask for fewer shots or queries."
        )
    if rotations and images.shape[1] != images.shape[2]:
        raise ValueError(
            f"`rotations` needs square pictures. Received: images.shape={images.shape}."
        )
