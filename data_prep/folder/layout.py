"""Finds the classes in a user's folder, and the split of each class."""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.errors import DataError
from data_prep.folder.given_splits import group, read_given_splits
from data_prep.images import MAX_BYTES, SUFFIXES
from data_prep.io import FolderSource, printable
from data_prep.packed import SPLITS, listed


@dataclass(frozen=True)
class Layout:
    """The content of a folder.

    Attributes:
        source: the folder.
        splits: member names by class, by split.
        given: whether the folder contains train, val and test; otherwise the splits were drawn.
        sizes: proportions of the splits that were drawn.
    """

    source: FolderSource
    splits: Mapping[str, Mapping[str, list[str]]]
    given: bool
    sizes: tuple[float, ...]


def read_layout(
    folder: Path,
    *,
    seed: int,
    sizes: Sequence[float],
    min_classes: Sequence[int],
    min_per_class: int,
) -> Layout:
    """Lists a folder of class folders, or of train, val and test folders that contain them.

    Args:
        folder: contains the images.
        seed: determines the splits if the folder does not.
        sizes: proportions of the three splits.
        min_classes: smallest number of classes of each split, if there are enough classes.
        min_per_class: smallest number of images of a class.

    Raises:
        DataError: if there are too few classes or images, or images outside of class folders.
    """
    if len(sizes) != len(SPLITS) or not all(0 < s < math.inf for s in sizes):
        raise DataError(
            f"`split` must be three positive proportions. Received: split={tuple(sizes)}."
        )
    if seed < 0:
        raise DataError(f"`seed` must be at least 0. Received: seed={seed}.")
    if len(min_classes) != len(SPLITS) or min(min_classes) < 1:
        raise DataError(
            "`min_classes` must be three positive numbers. "
            f"Received: min_classes={tuple(min_classes)}."
        )
    source = FolderSource(folder, MAX_BYTES, SUFFIXES)
    if not source.names:
        raise DataError(
            f"`{folder}` must contain class folders of images ({', '.join(sorted(SUFFIXES))}). "
            f"Received: {f'{len(source.others):,} other files' if source.others else 'none'}. "
            "Add images."
        )
    if loose := [name for name in source.names if "/" not in name]:
        raise DataError(
            f"Images must be in class folders, but {len(loose):,} are in `{folder}` itself "
            f"({listed(loose)}). Move them into folders with the names of their classes."
        )
    given = read_given_splits(source)
    if given is None:
        classes = group(source.names)
        _check_number(classes, folder, min_classes)
        usual, sizes = sizes, _enough_classes(len(classes), sizes, min_classes)
        if sizes is not usual:
            note = _note_on_sizes(folder, min_classes, sizes, _counts(len(classes), usual))
            logging.getLogger(__name__).warning("%s", printable(note))
        splits = _draw_splits(classes, seed, sizes)
    else:
        splits = given
    _check_sizes(splits, folder, min_per_class)
    return Layout(source, splits, given is not None, tuple(sizes))


def _check_number(classes: Collection[str], folder: Path, min_classes: Sequence[int]) -> None:
    if len(classes) < len(SPLITS):
        each = "one" if max(min_classes) == 1 else " or ".join(map(str, sorted(set(min_classes))))
        needed = "three" if each == "one" else sum(min_classes)
        raise DataError(
            f"`{folder}` must contain at least {needed} classes, {each} for each of "
            f"{', '.join(SPLITS)}. Received: {len(classes)} ({listed(sorted(classes))}). Add "
            "classes."
        )


def _enough_classes(
    num_classes: int, sizes: Sequence[float], min_classes: Sequence[int]
) -> Sequence[float]:
    """Returns proportions that give each split enough classes, if there are enough.

    The given proportions are returned if they suffice.
    """
    counts, lowest = np.array(_counts(num_classes, sizes)), np.array(min_classes)
    if (counts >= lowest).all() or lowest.sum() > num_classes:
        return sizes
    counts = np.maximum(counts, lowest)
    while counts.sum() > num_classes:
        counts[np.argmax(counts - lowest)] -= 1
    return counts.tolist()


def _note_on_sizes(
    folder: Path, min_classes: Sequence[int], counts: Sequence[float], usual: Sequence[int]
) -> str:
    """A sentence about the numbers of classes that the splits have because of `min_classes`."""
    parts = [f"{number} for {split}" for number, split in zip(counts, SPLITS, strict=True)]
    return (
        f"The {sum(counts)} classes of `{folder}` are divided into {parts[0]}, {parts[1]} and "
        f"{parts[2]} instead of {usual[0]}, {usual[1]} and {usual[2]}, because the tasks need at "
        f"least {min_classes[0]}, {min_classes[1]} and {min_classes[2]} classes; with another "
        "number of ways, the splits can be different."
    )


def _counts(num_classes: int, sizes: Sequence[float]) -> tuple[int, int, int]:
    """The number of classes of each split: validation and test get their proportions."""
    num_val, num_test = (max(1, round(num_classes * s / sum(sizes))) for s in sizes[1:])
    while num_val + num_test >= num_classes:
        num_val, num_test = max(1, num_val - 1), max(1, num_test - 1)
    return num_classes - num_val - num_test, num_val, num_test


def _draw_splits(
    classes: dict[str, list[str]], seed: int, sizes: Sequence[float]
) -> dict[str, dict[str, list[str]]]:
    names = sorted(classes)
    # The test classes are the last ones, so that a larger test split contains a smaller one.
    drawn = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    ends = np.cumsum(_counts(len(names), sizes))
    parts = (drawn[: ends[0]], drawn[ends[0] : ends[1]], drawn[ends[1] :])
    return {
        split: {name: classes[name] for name in sorted(part)}
        for split, part in zip(SPLITS, parts, strict=True)
    }


def _check_sizes(
    splits: Mapping[str, Mapping[str, list[str]]], folder: Path, min_per_class: int
) -> None:
    small = [
        f'"{members[0].rsplit("/", 1)[0]}" has {len(members)}'
        for classes in splits.values()
        for members in classes.values()
        if len(members) < min_per_class
    ]
    if small:
        raise DataError(
            f"Every class in `{folder}` must have at least {min_per_class} images. Received: "
            f"{listed(small)}. Add images, or remove these classes."
        )
