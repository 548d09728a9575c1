"""From settings to task distributions: the data sources of the command line, by split."""

import functools
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from data_prep import (
    Overlap,
    PackedImages,
    ensure_folder,
    ensure_miniimagenet,
    ensure_omniglot,
    find_overlap,
    load_packed,
)
from mtnet_tf.experiments.settings import Settings
from mtnet_tf.tasks import ImageClasses, Polynomials, Sinusoids, TaskDistribution, split_classes

SPLITS = ("train", "val", "test")
# Query pictures per class in training, for pictures other than characters (authors' code).
QUERIES_IN_TRAINING = 15
CURVE_POINTS = 200
LARGEST_ON_GPU = 2**31  # bytes of pictures


class ImageSplit(NamedTuple):
    """The pictures of one split.

    Attributes:
        packed: `PackedImages`.
        classes: numbers of the split's classes among those of `packed`.
    """

    packed: PackedImages
    classes: np.ndarray


class DataSource:
    """The tasks and pictures that the settings of a command name, by split.

    Pictures are looked for once, when first asked for, and prepared where they are not yet: a
    large folder takes seconds to walk.
    """

    def __init__(self, settings: Settings) -> None:
        """Stores the settings, a dict, see `settings.resolve`."""
        self._settings = settings
        self._has_pictures = settings.is_image

    def tasks(self, split: str, *, curves: bool = False) -> TaskDistribution:
        """The task distribution of a split.

        Args:
            split: "train", "val" or "test".
            curves: many query points, to draw regression tasks with.

        Returns:
            `TaskDistribution`.

        Raises:
            ValueError: where the data is missing or does not suffice.
        """
        return self._picture_tasks(split) if self._has_pictures else self._curve_tasks(curves)

    def _curve_tasks(self, curves: bool) -> TaskDistribution:
        settings = self._settings
        options = {"task_definition": settings.task_definition}
        options["num_shots"] = settings.num_shots
        options["num_queries"] = CURVE_POINTS if curves else settings.num_queries or 10
        if settings.data_source == "polynomial":
            return Polynomials(settings.polynomial_order, **options)
        return Sinusoids(oracle=settings.baseline == "oracle", **options)

    def _picture_tasks(self, split: str) -> ImageClasses:
        settings = self._settings
        packed, classes = self.pictures(split)
        has_own_ways = split == "train" and settings.num_train_ways
        name = "num_train_ways" if has_own_ways else "num_ways"
        num_ways = getattr(settings, name)
        if len(classes) < num_ways:
            raise ValueError(
                f"`{name}` must not exceed the {len(classes)} classes of the {split} split. "
                f"Received: {name}={num_ways}. Ask for fewer ways, or provide more classes."
            )
        return ImageClasses(
            packed.images,
            packed.counts,
            classes=classes,
            num_ways=num_ways,
            num_shots=settings.num_shots,
            num_queries=_num_queries(settings, split, packed.counts[classes]),
            rotations=settings.data_source == "omniglot",
            in_graph=True if _fits_on_a_gpu(packed, classes) else None,
        )

    def pictures(self, split: str) -> ImageSplit:
        """The pictures of a split, a `ImageSplit`."""
        kept = self._settings.num_train_classes
        if self._settings.data_source == "omniglot":
            packed = load_packed(self._folder)
            splits = split_classes(
                len(packed.counts),
                class_split=self._settings.class_split,
                num_train_classes=kept,
            )
            return ImageSplit(packed, getattr(splits, split))
        packed = load_packed(self._folder / split)
        classes = np.arange(len(packed.counts))
        if split == "train" and kept >= 0:
            classes = np.sort(np.random.default_rng(1).permutation(classes)[:kept])
        return ImageSplit(packed, classes)

    @functools.cached_property
    def _folder(self) -> Path:
        """What holds the packed pictures; of Omniglot all, else a folder for each split."""
        settings = self._settings
        if settings.data_source == "omniglot":
            return ensure_omniglot(settings.data_dir, settings.synthetic)
        if settings.data_source == "miniimagenet":
            return ensure_miniimagenet(settings.data_dir, settings.synthetic)
        options = {"packed_dir": settings.packed_dir}
        return ensure_folder(settings.data_dir, settings.image_size, **options)

    def identity(self) -> dict[str, str | None] | None:
        """What tells apart the pictures that a run is trained on; None for regression.

        Returns:
            Dict: for each split a hash of its pictures and class names, and how they were resampled.
        """
        if not self._has_pictures:
            return None
        splits = {split: self.pictures(split) for split in SPLITS}
        resampling = splits["train"].packed.details.get("resampling")
        return {
            **{split: _hash(pictures) for split, pictures in splits.items()},
            "resampling": resampling,
        }

    def check_same_images(self, config: Mapping[str, Any]) -> None:
        """Raises ValueError if a run was trained on other pictures than those there now.

        The classes of a split follow from all classes, so that with one more of them a test class
        may be one that the run was trained on.

        Args:
            config: of the run, see `Run.config`.
        """
        trained = config.get("data")
        if trained and trained["train"] != _hash(self.pictures("train")):
            raise ValueError(
                "The images must be those that the run in this folder was trained on. Those of "
                f"`data_dir={self._settings.data_dir}` differ or have changed since: restore the "
                "old ones, name another folder with `run_dir` or `runs_dir`, or train again from "
                "the start with `resume=False`."
            )

    def find_leaks(self) -> Overlap:
        """What the splits share that they must not: classes, and pictures of the same pixels.

        Returns:
            `data_prep.Overlap`.
        """
        return find_overlap({split: self.pictures(split) for split in SPLITS})


def _hash(images: ImageSplit) -> str:
    names = [images.packed.class_names[c] for c in images.classes]
    return hashlib.sha256(json.dumps([images.packed.sha256, names]).encode()).hexdigest()[:16]


def _fits_on_a_gpu(packed: PackedImages, classes: np.ndarray) -> bool:
    """Next to the network there, which no stream of pictures keeps up with."""
    size = int(packed.counts[classes].sum()) * math.prod(packed.images.shape[1:])
    return bool(tf.config.list_physical_devices("GPU")) and size <= LARGEST_ON_GPU


def _num_queries(settings: Settings, split: str, counts: np.ndarray) -> int:
    """Q: the authors' numbers, or what the user wants; no more than the smallest class has."""
    num_shots = settings.num_shots
    if split == "train" and settings.num_train_queries:
        return settings.num_train_queries
    if settings.num_queries:
        return settings.num_queries
    if settings.data_source == "omniglot" or split == "test":
        return num_shots
    return max(1, min(QUERIES_IN_TRAINING, int(counts.min()) - num_shots))
