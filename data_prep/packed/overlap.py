"""Finds classes and images that occur in two splits, which would invalidate a test score."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from data_prep.errors import DataError, printable
from data_prep.io import in_parallel, validate_workers
from data_prep.packed.reading import PackedImages
from data_prep.packed.splits import listed


class Twins(NamedTuple):
    """Two images with the same pixels, each named by its split and <class>/<file>."""

    first_split: str
    first: str
    second_split: str
    second: str

    def __str__(self) -> str:
        """Returns both names, with their splits if these differ."""
        first, second = printable(self.first), printable(self.second)
        if self.first_split == self.second_split:
            return f"{second} = {first}"
        return f"{second} ({self.second_split}) = {first} ({self.first_split})"


@dataclass(frozen=True)
class Overlap:
    """Classes and images that splits have in common.

    Attributes:
        classes: (class name, split, other split) of each class in two splits.
        across: pairs of images with the same pixels in two splits.
        within: pairs of images with the same pixels in one split.
    """

    classes: tuple[tuple[str, str, str], ...]
    across: tuple[Twins, ...]
    within: tuple[Twins, ...]

    @property
    def leaks(self) -> bool:
        """Whether anything is in two splits. Duplicates within one split do not affect a score."""
        return bool(self.classes or self.across)

    def lines(self) -> list[str]:
        """Returns one sentence per kind of finding, with a few of the names."""
        shared = [f"{printable(name)} ({split}, {other})" for name, split, other in self.classes]
        found = (
            ("classes are in two splits", shared),
            ("images of two splits have the same pixels", list(map(str, self.across))),
            ("images of one split have the same pixels", list(map(str, self.within))),
        )
        return [f"{len(n):,} {kind}: {listed(n)}." for kind, n in found if n]


def find_overlap(splits: Mapping[str, tuple[PackedImages, Sequence[int]]]) -> Overlap:
    """Finds classes and images that several splits share, and duplicates within each split.

    The packed images are compared bit by bit, as a network sees them. Every image is read once,
    which takes seconds for Omniglot and for MiniImagenet.

    >>> from data_prep import load_packed, prepare_synthetic_omniglot
    >>> packed = load_packed(prepare_synthetic_omniglot("data", num_classes=5, progress=False))
    >>> find_overlap({"train": (packed, [0, 1, 2]), "test": (packed, [2, 3, 4])}).classes
    (('Synthetic_Alphabet_01/character03', 'train', 'test'),)

    Args:
        splits: dict from the name of a split to its data set and the numbers of its classes.

    Returns:
        The findings, in the order of the splits.

    Raises:
        DataError: if there is no class with one of the numbers.
    """
    for split, (packed, numbers) in splits.items():
        if any(not 0 <= k < len(packed.class_names) for k in numbers):
            raise DataError(
                f"Class numbers of the {split} split must be from 0 to "
                f"{len(packed.class_names) - 1}. "
                f"Received: {listed([str(k) for k in sorted(numbers, reverse=True)])}."
            )
    across, within = [], []
    for first, second in _twins(splits):
        (within if first[0] == second[0] else across).append(Twins(*first, *second))
    return Overlap(tuple(_shared_classes(splits)), tuple(across), tuple(within))


def _shared_classes(
    splits: Mapping[str, tuple[PackedImages, Sequence[int]]],
) -> list[tuple[str, str, str]]:
    homes: dict[str, str] = {}
    shared = []
    for split, (packed, numbers) in splits.items():
        for name in dict.fromkeys(packed.class_names[k] for k in numbers):
            if name in homes:
                shared.append((name, homes[name], split))
            homes.setdefault(name, split)
    return shared


def _twins(
    splits: Mapping[str, tuple[PackedImages, Sequence[int]]],
) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Returns pairs of (split, name): the first image with certain pixels, and a later one."""
    classes = [(s, packed, int(k)) for s, (packed, numbers) in splits.items() for k in numbers]
    # The shape is part of the key, because images of different shapes are different images.
    seen: dict[tuple[tuple[int, ...], bytes], tuple[str, str]] = {}
    pairs = []
    digests = in_parallel(lambda c: _digests(c[1], c[2]), classes, validate_workers(None))
    for (split, packed, k), rows in zip(classes, digests, strict=True):
        for file_name, digest in zip(packed.file_names[k], rows, strict=True):
            here = (split, f"{packed.class_names[k]}/{file_name}")
            first = seen.setdefault((packed.images.shape[1:], digest), here)
            if first != here:
                pairs.append((first, here))
    return pairs


def _digests(packed: PackedImages, k: int) -> list[bytes]:
    rows = packed.images[packed.offsets[k] : packed.offsets[k + 1]]
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
