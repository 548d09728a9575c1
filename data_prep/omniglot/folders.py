"""The two folders of Omniglot: resized PNG files, and the packed array."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from data_prep.errors import DataError
from data_prep.images import decode_png, ink, resize
from data_prep.io import bar, building, open_source
from data_prep.omniglot.originals import DRAWINGS_PER_CHARACTER, MAX_BYTES, Drawing, group_by_class
from data_prep.packed import write_packed
from data_prep.preparation import DuplicateFinder, Plan, read_marker, write_marker

SIDE = 28


def write_resized(
    plan: Plan, drawings: Iterable[Drawing], *, replace: bool, progress: bool
) -> None:
    """Writes `plan.folder/<alphabet>/<character>/<drawing>.png`, 28x28 pixels each.

    Args:
        plan: what to create.
        drawings: all drawings, class by class.
        replace: whether an existing folder may be replaced.
        progress: whether to show a bar on a terminal.
    """
    duplicates = DuplicateFinder()
    with building(plan.folder, replace=replace) as build:
        for drawing in _bar(plan, "Resizing", drawings, progress=progress):
            duplicates.add(f"{drawing.class_name}/{drawing.file_name}", drawing.image.tobytes())
            folder = build / drawing.class_name
            folder.mkdir(parents=True, exist_ok=True)
            small = resize(drawing.image, SIDE, plan.settings["resampling"])
            small.save(folder / drawing.file_name)
        write_marker(build, settings=plan.settings, duplicates=duplicates.pairs)


def pack_resized(plan: Plan, *, replace: bool, progress: bool) -> None:
    """Packs `plan.folder` into `plan.packed`, ink 255 on paper 0.

    Args:
        plan: what to create.
        replace: whether an existing packed folder may be replaced.
        progress: whether to show a bar on a terminal.

    Raises:
        DataError: if the folder of images is incomplete or damaged.
    """
    try:
        classes, images = _read_resized(plan, progress=progress)
    except DataError as error:
        raise DataError(
            f"{error} Or move `{plan.folder}` away, so that it is created again."
        ) from error
    write_packed(
        plan.packed,
        images,
        class_names=list(classes),
        file_names=[[PurePosixPath(name).name for name in names] for names in classes.values()],
        image_shape=(SIDE, SIDE, 1),
        dataset=plan.dataset,
        synthetic=plan.synthetic,
        details={**plan.settings, "duplicates": _duplicates(plan.folder, classes, images)},
        replace=replace,
    )


def _read_resized(plan: Plan, *, progress: bool) -> tuple[dict[str, list[str]], list[np.ndarray]]:
    """Returns the sorted member names by class, and the images, uint8 [28, 28, 1] each."""
    source = open_source(plan.folder, MAX_BYTES)
    classes = dict(sorted(group_by_class(source, plan.settings["num_classes"]).items()))
    names = [name for members in classes.values() for name in members]
    mode = "1" if plan.settings["resampling"] == "nearest" else "L"
    images = [
        ink(decode_png(source.read(name), source.where(name), (SIDE, SIDE), mode))
        for name in _bar(plan, "Packing", names, progress=progress)
    ]
    return classes, images


def _duplicates(
    resized: Path, classes: Mapping[str, list[str]], images: list[np.ndarray]
) -> list[list[str]]:
    marker = read_marker(resized)
    if marker is not None:
        return marker["duplicates"]
    # The folder was created by the original script. Only the resized images can be compared,
    # and a few more of these are equal than of the originals.
    finder = DuplicateFinder()
    names = (name for members in classes.values() for name in members)
    for name, image in zip(names, images, strict=True):
        finder.add(name, image.tobytes())
    return finder.pairs


def _bar(plan: Plan, verb: str, items: Iterable[Any], *, progress: bool) -> Iterable[Any]:
    total = plan.settings["num_classes"] * DRAWINGS_PER_CHARACTER
    return bar(items, f"{verb} {plan.dataset}", total, "drawing", progress=progress)
