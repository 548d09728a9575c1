"""Finds the classes in a user's folder, and the split of each class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.errors import DataError
from data_prep.images import MAX_BYTES, SUFFIXES
from data_prep.io import FolderSource
from data_prep.packed import SPLITS, check_disjoint, listed


@dataclass(frozen=True)
class Layout:
    """The content of a folder.

    Attributes:
        source: the folder.
        splits: member names by class, by split.
        given: whether the folder contains train, val and test; otherwise the splits were drawn.
    """

    source: FolderSource
    splits: Mapping[str, Mapping[str, list[str]]]
    given: bool


def read_layout(folder: Path, *, seed: int, sizes: Sequence[float], min_per_class: int) -> Layout:
    """Lists a folder of class folders, or of train, val and test folders that contain them.

    Args:
        folder: contains the images.
        seed: determines the splits if the folder does not.
        sizes: proportions of the three splits.
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
    given = _given_splits(source)
    splits = given or _draw_splits(_group(source.names), folder, seed, sizes)
    _check_sizes(splits, folder, min_per_class)
    return Layout(source, splits, given is not None)


def _group(names: Sequence[str]) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    for name in names:
        classes.setdefault(name.rsplit("/", 1)[0], []).append(name)
    return classes


def _given_splits(source: FolderSource) -> dict[str, dict[str, list[str]]] | None:
    """Returns the classes of the train, val and test folders; None if there are none of these."""
    tops: dict[str, list[str]] = {}
    for name in source.names:
        tops.setdefault(name.split("/", 1)[0], []).append(name)
    if not any(all(n.count("/") > 1 for n in tops.get(split, [""])) for split in SPLITS):
        return None
    if set(tops) != set(SPLITS):
        raise DataError(
            f"`{source.path}` must contain either the folders train, val and test with images, or "
            f"only class folders. Received: {listed(sorted(tops))}. Add or rename folders."
        )
    splits = {}
    for split in SPLITS:
        if loose := [name for name in tops[split] if name.count("/") == 1]:
            raise DataError(
                f"Images must be in class folders, but {len(loose):,} are in `{source.path}/"
                f"{split}` itself ({listed(loose)}). Move them into class folders."
            )
        classes = _group(tops[split])
        splits[split] = {name.split("/", 1)[1]: members for name, members in classes.items()}
    check_disjoint(splits, f"`{source.path}`")
    return splits


def _draw_splits(
    classes: dict[str, list[str]], folder: Path, seed: int, sizes: Sequence[float]
) -> dict[str, dict[str, list[str]]]:
    """Draws the splits: validation and test get their proportions, training the other classes."""
    if len(classes) < len(SPLITS):
        raise DataError(
            f"`{folder}` must contain at least three classes, one for each of {', '.join(SPLITS)}. "
            f"Received: {len(classes)} ({listed(sorted(classes))}). Add classes."
        )
    num_val, num_test = (max(1, round(len(classes) * s / sum(sizes))) for s in sizes[1:])
    while num_val + num_test >= len(classes):
        num_val, num_test = max(1, num_val - 1), max(1, num_test - 1)
    names = sorted(classes)
    drawn = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    ends = np.cumsum([len(names) - num_val - num_test, num_val])
    parts = (drawn[: ends[0]], drawn[ends[0] : ends[1]], drawn[ends[1] :])
    return {
        split: {name: classes[name] for name in sorted(part)}
        for split, part in zip(SPLITS, parts, strict=True)
    }


def _check_sizes(
    splits: Mapping[str, Mapping[str, list[str]]], folder: Path, min_per_class: int
) -> None:
    small = [
        f'"{name}" has {len(members)}'
        for classes in splits.values()
        for name, members in classes.items()
        if len(members) < min_per_class
    ]
    if small:
        raise DataError(
            f"Every class in `{folder}` must have at least {min_per_class} images. Received: "
            f"{listed(small)}. Add images, or remove these classes."
        )
