"""N-way K-shot classification of images, sampled in-graph from one packed array."""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks.episode import Episode, Part
from mtnet_tf.tasks.task_distribution import TaskDistribution

# Bytes. Omniglot's training characters take 17 MB, MiniImagenet's training images 813 MB.
LARGEST_IN_GRAPH = 2**28


class ImageClasses(TaskDistribution):
    """Tasks of `num_ways` distinct classes, `num_shots` + `num_queries` images of each.

    Support and query set are disjoint, and labels are shuffled: the order of classes within a task
    is random. With `rotations`, each class of a task is rotated by 0, 90, 180 or 270 degrees, by
    the same angle in the support and the query set.

    Attributes:
        classes: ints [C], numbers of the classes in use, as numbered in the whole array.
        num_ways: N.
        num_shots: K.
        num_queries: Q.
        rotations: whether classes are rotated.
        image_shape: (H, W, C).
    """

    def __init__(
        self,
        images: np.ndarray,
        counts: Sequence[int] | np.ndarray,
        *,
        num_ways: int,
        num_shots: int,
        num_queries: int,
        rotations: bool = False,
        classes: Sequence[int] | np.ndarray | None = None,
        in_graph: bool | None = None,
    ) -> None:
        """Stores the images.

        Args:
            images: uint8 array [P, H, W, C], sorted by class; may be memory-mapped.
            counts: number of images of each class, ints that sum to P.
            num_ways: N, classes of a task.
            num_shots: K, labelled images per class.
            num_queries: Q, query images per class.
            rotations: rotates classes; requires square images.
            classes: numbers of the classes to use, None for all.
            in_graph: True copies the images of those classes to the device, where a compiled step
                samples them. False leaves them where they are and reads the images of each episode
                ahead of the step. None: True if they take at most 256 MB.

        Raises:
            ValueError: if there are too few classes or images, if `counts` do not sum to P, or if
                a number is not a positive integer.
        """
        num_ways = seeds.validate_integer("num_ways", num_ways, 1)
        num_shots = seeds.validate_integer("num_shots", num_shots, 1)
        num_queries = seeds.validate_integer("num_queries", num_queries, 1)
        counts = np.asarray(counts, np.int32)
        classes = np.arange(len(counts)) if classes is None else np.asarray(classes)
        _check_array(images, counts, rotations)
        _check_classes(classes, counts[classes], num_ways, num_shots + num_queries)
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
            self._images = tf.Variable(
                kept,  # pyright: ignore[reportArgumentType]
                trainable=False,
                dtype=tf.uint8,
            )
            starts = np.cumsum(counts) - counts
        self._classes = tf.constant(classes, tf.int32)
        self._counts = tf.constant(counts)
        self._largest = int(counts.max())
        self._starts = tf.constant(starts, tf.int32)

    def sample(self, seed: tf.Tensor, num_tasks: int) -> Episode:
        """Draws tasks. Example i of a support or query set belongs to class `i % N`.

        Args:
            seed: stateless seed, int32 [2].
            num_tasks: B.

        Returns:
            `Episode`: float32 images in [0, 1], [B, N*K, H, W, C] and [B, N*Q, H, W, C]; int32
            labels [B, N*K] and [B, N*Q]; `classes` [B, N] as numbered in the whole array.
        """
        return self._sample(seed, num_tasks)

    def sample_part(self, seed: tf.Tensor, part: Part) -> Episode:
        """The episodes of some tasks of a sample, without reading the images of the others."""
        return self._sample(seed, cast(int, part.total), part)

    def _sample(self, seed: tf.Tensor, num_tasks: int, part: Part | None = None) -> Episode:
        class_seed, image_seed, rotation_seed = seeds.split(seed, 3)
        classes = self._draw_classes(class_seed, num_tasks)  # [B, N]
        rows = self._draw_images(image_seed, classes)  # [B, K+Q, N]
        turns = self._draw_turns(rotation_seed, num_tasks) if self.rotations else None
        if part is not None:
            num_tasks = cast(int, part.size)
            classes, rows = part.rows(classes), part.rows(rows)
            turns = None if turns is None else part.rows(turns)
        x = tf.cast(self._read(rows), tf.float32) / 255.0  # [B, K+Q, N, H, W, C]
        if turns is not None:
            x = rotate(x, turns)
        labels = tf.range(self.num_ways)[None, None, :]
        labels = tf.tile(labels, [num_tasks, self.num_shots + self.num_queries, 1])
        k = self.num_shots
        return Episode(
            self._join(x[:, :k]),
            self._join(labels[:, :k]),
            self._join(x[:, k:]),
            self._join(labels[:, k:]),
            tf.gather(self._classes, classes),
            part=part,
        )

    def _draw_classes(self, seed: tf.Tensor, num_tasks: int) -> tf.Tensor:
        """Positions in `classes`, [B, N]: distinct, in random order."""
        # The largest of independent random numbers are a random sample without replacement.
        shape = [num_tasks, self._counts.shape[0]]
        return tf.math.top_k(seeds.uniform(shape, seed), self.num_ways).indices

    def _draw_images(self, seed: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Rows of the image array, [B, K+Q, N]: distinct images of classes [B, N]."""
        counts = tf.gather(self._counts, classes)  # [B, N]
        scores = seeds.uniform([*classes.shape, self._largest], seed)
        exists = tf.range(self._largest) < counts[..., None]
        per_class = self.num_shots + self.num_queries
        chosen = tf.math.top_k(tf.where(exists, scores, -1.0), per_class).indices  # [B, N, K+Q]
        rows = tf.gather(self._starts, classes)[..., None] + chosen
        return tf.transpose(rows, [0, 2, 1])

    def _read(self, rows: tf.Tensor) -> tf.Tensor:
        """The images of these rows, uint8 [..., H, W, C]."""
        if self.in_graph:
            return tf.gather(self._images, rows)
        images = tf.numpy_function(self._images.__getitem__, [rows], tf.uint8)
        return tf.ensure_shape(images, [*rows.shape, *self.image_shape])

    def _draw_turns(self, seed: tf.Tensor, num_tasks: int) -> tf.Tensor:
        """Quarter turns, int32 [B, 1, N]."""
        shape = [num_tasks, 1, self.num_ways]
        return seeds.integers(shape, seed, 4)

    def _join(self, x: tf.Tensor) -> tf.Tensor:
        """[B, K, N, ...] -> [B, K*N, ...]."""
        return tf.reshape(x, [x.shape[0], -1, *x.shape[3:]])


def rotate(images: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Rotates images anticlockwise by quarter turns.

    Args:
        images: [..., H, W, C], H = W.
        turns: ints that broadcast against [...], 0 to 3.

    Returns:
        Tensor [..., H, W, C].
    """
    turns = turns[..., None, None, None]  # pyright: ignore[reportArgumentType]
    half = tf.reverse(images, [-3, -2])
    images = tf.where(turns >= 2, half, images)
    rank = images.shape.rank
    axes = [*range(rank - 3), rank - 2, rank - 3, rank - 1]
    quarter = tf.reverse(tf.transpose(images, axes), [-3])
    return tf.where(tf.math.floormod(turns, 2) == 1, quarter, images)


def _check_array(images: np.ndarray, counts: np.ndarray, rotations: bool) -> None:
    """Raises ValueError unless the array [P, H, W, C] fits the counts and the rotations."""
    if images.ndim != 4 or counts.sum() != len(images):
        raise ValueError(
            "`images` must be [P, H, W, C] with the sum of `counts` as P. Received: "
            f"images.shape={images.shape}, sum(counts)={counts.sum()}."
        )
    if rotations and images.shape[1] != images.shape[2]:
        raise ValueError(
            f"`rotations` requires square images. Received: images.shape={images.shape}."
        )


def _check_classes(classes: np.ndarray, counts: np.ndarray, num_ways: int, per_class: int) -> None:
    """Raises ValueError unless there are enough classes, and enough images of each."""
    if len(counts) < num_ways:
        raise ValueError(
            f"`num_ways` must not exceed the number of classes, {len(counts)}. "
            f"Received: num_ways={num_ways}. Use fewer ways, or more classes."
        )
    if counts.min() < per_class:
        raise ValueError(
            f"Every class must have `num_shots` + `num_queries` = {per_class} images. Received: a "
            f"class of {counts.min()} (class {classes[counts.argmin()]}). Use fewer shots or "
            "queries."
        )
