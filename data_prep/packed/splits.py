"""Three packed arrays side by side: training, validation and test classes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.errors import DataError
from data_prep.io import bar, in_parallel
from data_prep.packed.reading import is_packed
from data_prep.packed.writing import write_packed

SPLITS = ("train", "val", "test")
# Member names by class, by split.
Members = Mapping[str, Mapping[str, list[str]]]


def check_disjoint(splits: Members, where: str) -> None:
    """Raises a DataError unless every class is in one split only.

    Args:
        splits: the content of each split.
        where: names the place in the error message.
    """
    seen: dict[str, str] = {}
    shared = []
    for split, classes in splits.items():
        for class_name in classes:
            other = seen.setdefault(class_name, split)
            if other != split:
                shared.append(f"`{class_name}` in {other} and {split}")
    if shared:
        raise DataError(
            "A class must be in one split only, or the test would measure memory. "
            f"Received from {where}: {listed(shared)}. Take it out of one of them."
        )


def listed(names: list[str], most: int = 5) -> str:
    """Names a few and counts the rest."""
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
        folder: where to write; the caller puts it in place when it is complete.
        splits: member names by class, by split; written in sorted order.
        read: makes a member's image, uint8 [H, W, C]; called from several threads.
        image_shape: this and the rest as in `write_packed`.
        dataset: see there.
        synthetic: see there.
        details: see there; the name of the split is added.
        workers: how many images to read at once.
        progress: whether to show a bar on a terminal.
    """
    with bar(None, f"Packing {dataset}", count(splits), "image", progress=progress) as shown:
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
    """Whether `folder` was filled by `fill_splits`, even if it is damaged now."""
    return all(is_packed(folder / split) for split in SPLITS)


def _counted(pictures: Iterable[np.ndarray], shown: tqdm) -> Iterator[np.ndarray]:
    for picture in pictures:
        shown.update()
        yield picture
