"""Three packed arrays side by side: training, validation and test classes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.atomic import building
from data_prep.errors import DataError
from data_prep.packed import is_packed
from data_prep.packing import write_packed
from data_prep.parallel import in_parallel
from data_prep.preparation import bar

SPLITS = ("train", "val", "test")
# Member names by class, by split.
Members = Mapping[str, Mapping[str, list[str]]]


def check_disjoint(splits: Members, where: str) -> None:
    """Raises a DataError unless every class is in one split only.

    Args:
        splits: what each split holds.
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


def write_splits(
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
    replace: bool,
) -> None:
    """Writes `folder/train`, `folder/val` and `folder/test`, all complete or none.

    Args:
        folder: where to write.
        splits: member names by class, by split; written in sorted order.
        read: makes a member's picture, uint8 [H, W, C]; called from several threads.
        image_shape: this and the rest as in `write_packed`.
        dataset: see there.
        synthetic: see there.
        details: see there; the name of the split is added.
        workers: how many pictures to read at once.
        progress: whether to show a bar on a terminal.
        replace: see there.
    """
    total = sum(len(names) for classes in splits.values() for names in classes.values())
    ours = all(is_packed(folder / split) for split in splits)
    with (
        bar(None, f"Packing {dataset}", total, "picture", progress=progress) as shown,
        building(folder, replace=replace and ours) as build,
    ):
        for split, classes in splits.items():
            classes = dict(sorted(classes.items()))
            names = [sorted(members) for members in classes.values()]

            def pictures(names: list[list[str]] = names) -> Any:
                for picture in in_parallel(read, [m for c in names for m in c], workers):
                    shown.update()
                    yield picture

            write_packed(
                build / split,
                pictures(),
                class_names=list(classes),
                file_names=[[m.rsplit("/", 1)[-1] for m in members] for members in names],
                image_shape=image_shape,
                dataset=dataset,
                synthetic=synthetic,
                details={**details, "split": split},
            )
