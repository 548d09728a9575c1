"""The three splits of a data set: training, validation and test classes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.errors import DataError
from data_prep.io import bar, in_parallel, printable
from data_prep.packed.reading import is_packed
from data_prep.packed.writing import write_packed

SPLITS = ("train", "val", "test")
# Member names by class, by split.
Members = Mapping[str, Mapping[str, list[str]]]


def check_disjoint(
    splits: Members, where: str, advice: str = "Remove it from one of them."
) -> None:
    """Raises a DataError unless every class is in one split only.

    Args:
        splits: member names by class, by split.
        where: how the error message names the place.
        advice: last sentence of the error message.
    """
    seen: dict[str, str] = {}
    shared = []
    for split, classes in splits.items():
        for class_name in classes:
            other = seen.setdefault(class_name, split)
            if other != split:
                shared.append(f'"{class_name}" in {other} and {split}')
    if shared:
        raise DataError(
            "A class must be in one split only; otherwise the test score measures memorization. "
            f"Received from {where}: {listed(shared)}. {advice}"
        )


def listed(names: Sequence[str], most: int = 5) -> str:
    """Returns the first names, and the number of the others.

    >>> listed(["ant", "bee", "cat"], most=2)
    'ant, bee and 1 more'
    """
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def fill_splits(
    folder: Path,
    splits: Members,
    read: Callable[[str], np.ndarray],
    *,
    image_shape: tuple[int, int, int],
    dataset: str,
    synthetic: bool,
    details: Mapping[str, Any],
    workers: int,
    progress: bool,
) -> None:
    """Writes the packed folders `folder/train`, `folder/val` and `folder/test`.

    Args:
        folder: where to write; the caller renames it when it is complete.
        splits: member names by class, by split; written in sorted order.
        read: returns the image of a member, uint8 [H, W, C]; called from several threads.
        image_shape: see `write_packed`.
        dataset: see `write_packed`.
        synthetic: see `write_packed`.
        details: see `write_packed`; the name of the split is added.
        workers: how many images to read at once.
        progress: whether to show a bar on a terminal.
    """
    title = f"Packing {printable(dataset)}"
    with bar(None, title, count(splits), "image", progress=progress) as shown:
        for split in SPLITS:
            classes = {name: sorted(splits[split][name]) for name in sorted(splits[split])}
            members = [member for names in classes.values() for member in names]
            write_packed(
                folder / split,
                _counted(in_parallel(read, members, workers), shown),
                class_names=list(classes),
                file_names=[[m.rsplit("/", 1)[-1] for m in names] for names in classes.values()],
                image_shape=image_shape,
                dataset=dataset,
                synthetic=synthetic,
                details={**details, "split": split},
            )


def count(splits: Members) -> int:
    """Returns the number of images."""
    return sum(len(names) for classes in splits.values() for names in classes.values())


def holds_splits(folder: Path) -> bool:
    """Whether `folder` was written by `fill_splits`, even if it is damaged now."""
    return all(is_packed(folder / split) for split in SPLITS)


def _counted(images: Iterable[np.ndarray], shown: tqdm) -> Iterator[np.ndarray]:
    for image in images:
        shown.update()
        yield image
