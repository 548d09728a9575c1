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
from mtnet_tf.experiments.class_counts import (
    check_num_classes,
    check_num_images,
    needed_classes,
)
from mtnet_tf.experiments.settings import Settings
from mtnet_tf.tasks import ImageClasses, Polynomials, Sinusoids, TaskDistribution, split_classes

SPLITS = ("train", "val", "test")
# Query images per class in training, except for characters (authors' code).
QUERIES_IN_TRAINING = 15
CURVE_POINTS = 200
LARGEST_ON_GPU = 2**31  # bytes of images


class ImageSplit(NamedTuple):
    """The images of one split.

    Attributes:
        packed: `PackedImages`.
        classes: numbers of the split's classes in `packed`.
    """

    packed: PackedImages
    classes: np.ndarray


class DataSource:
    """The tasks and images of the settings, by split.

    Images are located once, at the first use, and prepared if necessary, because listing a large
    folder takes seconds.
    """

    def __init__(self, settings: Settings) -> None:
        """Stores the settings."""
        self._settings = settings
        self._has_images = settings.is_image

    def tasks(self, split: str, *, curves: bool = False) -> TaskDistribution:
        """The task distribution of a split.

        Args:
            split: "train", "val" or "test".
            curves: True gives regression tasks many query points, for plots.

        Returns:
            `TaskDistribution`.

        Raises:
            ValueError: if the data is missing or not sufficient.
        """
        return self._image_tasks(split) if self._has_images else self._curve_tasks(curves)

    def _curve_tasks(self, curves: bool) -> TaskDistribution:
        settings = self._settings
        options: dict[str, Any] = {
            "task_definition": settings.task_definition,
            "num_shots": settings.num_shots,
            "num_queries": CURVE_POINTS if curves else settings.num_queries or 10,
        }
        if settings.data_source == "polynomial":
            return Polynomials(settings.polynomial_order, **options)
        return Sinusoids(oracle=settings.baseline == "oracle", **options)

    def _image_tasks(self, split: str) -> ImageClasses:
        settings = self._settings
        packed, classes = self.pictures(split)
        sizes = {name: len(self.pictures(name).classes) for name in SPLITS}
        check_num_classes(settings, split, sizes, self._is_drawn(packed))
        counts = packed.counts[classes]
        num_queries = _num_queries(settings, split, counts)
        names = [packed.class_names[c] for c in classes]
        check_num_images(settings, split, names, counts.tolist(), num_queries)
        has_own_ways = split == "train" and settings.num_train_ways
        return ImageClasses(
            packed.images,
            packed.counts,
            classes=classes,
            num_ways=settings.num_train_ways if has_own_ways else settings.num_ways,
            num_shots=settings.num_shots,
            num_queries=num_queries,
            rotations=settings.data_source == "omniglot",
            in_graph=True if _fits_on_a_gpu(packed, classes) else None,
        )

    def pictures(self, split: str) -> ImageSplit:
        """The images of a split, "train", "val" or "test"."""
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
        """The folder of the packed images: all of Omniglot, otherwise a folder per split."""
        settings = self._settings
        if settings.data_source == "omniglot":
            return ensure_omniglot(settings.data_dir, settings.synthetic)
        if settings.data_source == "miniimagenet":
            return ensure_miniimagenet(settings.data_dir, settings.synthetic)
        return ensure_folder(
            settings.data_dir,
            settings.image_size,
            packed_dir=settings.packed_dir,
            min_classes=needed_classes(settings),
        )

    def _is_drawn(self, packed: PackedImages) -> bool:
        """Whether the classes of a folder were divided at random."""
        return self._settings.data_source == "folder" and not packed.details["split_given"]

    def identity(self) -> dict[str, str | None] | None:
        """Hashes that identify the images of a run; None for regression.

        Returns:
            A dict with a hash of images and class names for each split, and under "resampling" the
            filter that resized the images.
        """
        if not self._has_images:
            return None
        splits = {split: self.pictures(split) for split in SPLITS}
        resampling = splits["train"].packed.details.get("resampling")
        return {
            **{split: _hash(pictures) for split, pictures in splits.items()},
            "resampling": resampling,
        }

    def check_same_images(self, config: Mapping[str, Any]) -> None:
        """Raises ValueError if a run was trained on images other than the present ones.

        The split depends on all classes: after adding a class, the test split may contain classes
        that the run was trained on.

        Args:
            config: config.json of the run, see `Run.config`.
        """
        trained = config.get("data")
        if trained and trained["train"] != _hash(self.pictures("train")):
            raise ValueError(
                "The images must be the ones that the run in this folder was trained on. The "
                f"images in `data_dir={self._settings.data_dir}` are different or have changed: "
                "restore the original images, choose another run folder with `run_dir` or "
                "`runs_dir`, or train again from the start with `resume=False`."
            )

    def split_notes(self) -> list[str]:
        """A sentence about the splits, if the folder of images does not contain them."""
        splits = [self.pictures(split) for split in SPLITS]
        if not self._is_drawn(splits[0].packed):
            return []
        train, val, test = (len(pictures.packed.class_names) for pictures in splits)
        return [
            f"The folder contains no train, val and test folders: its {train + val + test} classes "
            f"were divided at random into {train} for training, {val} for validation, {test} for "
            "the test."
        ]

    def find_leaks(self) -> Overlap:
        """The classes and the images with equal pixels that occur in more than one split.

        Returns:
            `data_prep.Overlap`.
        """
        splits = {split: self.pictures(split) for split in SPLITS}
        return find_overlap({s: (x.packed, x.classes.tolist()) for s, x in splits.items()})


def _hash(images: ImageSplit) -> str:
    names = [images.packed.class_names[c] for c in images.classes]
    return hashlib.sha256(json.dumps([images.packed.sha256, names]).encode()).hexdigest()[:16]


def _fits_on_a_gpu(packed: PackedImages, classes: np.ndarray) -> bool:
    """Whether to keep the images on a GPU, which a stream of images cannot keep busy."""
    size = int(packed.counts[classes].sum()) * math.prod(packed.images.shape[1:])
    return bool(tf.config.list_physical_devices("GPU")) and size <= LARGEST_ON_GPU


def _num_queries(settings: Settings, split: str, counts: np.ndarray) -> int:
    """Q: the user's or the authors' number, limited by the size of the smallest class."""
    num_shots = settings.num_shots
    if split == "train" and settings.num_train_queries:
        return settings.num_train_queries
    if settings.num_queries:
        return settings.num_queries
    if settings.data_source == "omniglot" or split == "test":
        return num_shots
    return max(1, min(QUERIES_IN_TRAINING, int(counts.min()) - num_shots))
