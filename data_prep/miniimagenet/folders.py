"""The two folders of MiniImagenet: 84x84 JPEG files, and packed arrays of them."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from data_prep.errors import DataError
from data_prep.images import DECODE_ERRORS, MAX_BYTES, decode, fit
from data_prep.io import bar, building, in_parallel, open_source, resuming
from data_prep.packed import (
    SPLITS,
    check_disjoint,
    count,
    fill_splits,
    holds_splits,
    name_splits,
)
from data_prep.preparation import Plan, read_marker, write_marker

IMAGE_SHAPE = (84, 84, 3)
JPEG_SUFFIXES = (".jpg", ".jpeg")
# Pillow's default, which the original code uses.
_QUALITY = 75

# Returns the JPEG file of (split, class, file name).
Encode = Callable[[tuple[str, str, str]], bytes]


def encode(pixels: np.ndarray) -> bytes:
    """Returns an image, uint8 [H, W, 3], as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def shrink(data: bytes, where: str) -> bytes:
    """Returns an image file as an 84x84 RGB JPEG file. A file that is one already is unchanged."""
    image = decode(data, where)  # raises if the file is damaged
    return data if _is_final(data) else encode(fit(image, IMAGE_SHAPE))


def _is_final(data: bytes) -> bool:
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        # The image must be upright for programs that ignore EXIF.
        upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    except DECODE_ERRORS:
        return False
    return upright and (image.format, image.mode, image.size) == ("JPEG", "RGB", (84, 84))


def write_folder(
    plan: Plan,
    splits: Mapping[str, Mapping[str, list[str]]],
    make: Encode,
    *,
    identity: Mapping[str, Any],
    notes: Mapping[str, Any],
    workers: int,
    progress: bool,
    replace: bool,
) -> None:
    """Writes `plan.folder/<split>/<class>/<image>.jpg`; can be resumed after an interruption.

    Args:
        plan: what to create.
        splits: names of the images by class, by split.
        make: returns the JPEG file of one image; called from several threads.
        identity: everything that determines the files, see `resuming`.
        notes: content of the marker in addition to the settings.
        workers: how many images to make at once.
        progress: whether to show a bar on a terminal.
        replace: whether an existing folder may be replaced.
    """
    with (
        resuming(plan.folder, identity, replace=replace) as partial,
        bar(None, f"Writing {plan.dataset}", count(splits), "image", progress=progress) as shown,
    ):
        for split, classes in splits.items():
            for class_name, names in classes.items():
                folder = partial / split / class_name
                if not folder.exists():  # a class is complete or absent
                    _write_class(folder, [(split, class_name, n) for n in names], make, workers)
                shown.update(len(names))
        counts = {s: {c: len(names) for c, names in cs.items()} for s, cs in splits.items()}
        write_marker(partial, settings=plan.settings, counts=counts, **notes)


def _write_class(
    folder: Path, entries: list[tuple[str, str, str]], make: Encode, workers: int
) -> None:
    folder.parent.mkdir(exist_ok=True)
    with building(folder) as build:
        for entry, data in zip(entries, in_parallel(make, entries, workers), strict=True):
            (build / f"{Path(entry[2]).stem}.jpg").write_bytes(data)


def pack_folder(plan: Plan, *, workers: int, progress: bool, replace: bool) -> None:
    """Packs `plan.folder` into `plan.packed/{train,val,test}`.

    Args:
        plan: what to create.
        workers: how many images to read at once.
        progress: whether to show a bar on a terminal.
        replace: whether an existing packed folder may be replaced.

    Raises:
        DataError: if the folder is incomplete or damaged.
    """
    source = open_source(plan.folder, MAX_BYTES, JPEG_SUFFIXES)
    marker = read_marker(plan.folder) or {}
    try:
        splits = _list_folder(plan.folder, source.names)
        counts = {s: {c: len(names) for c, names in cs.items()} for s, cs in splits.items()}
        if marker.get("counts", counts) != counts:
            raise DataError(
                f"`{plan.folder}` must contain all files that were written, but some are missing. "
                "Restore them."
            )
        with building(plan.packed, replace=replace and holds_splits(plan.packed)) as build:
            fill_splits(
                build,
                splits,
                lambda name: fit(decode(source.read(name), source.where(name)), IMAGE_SHAPE),
                image_shape=IMAGE_SHAPE,
                dataset=plan.dataset,
                synthetic=plan.synthetic,
                details={**plan.settings, "duplicates": marker.get("duplicates", [])},
                workers=workers,
                progress=progress,
            )
    except DataError as error:
        raise DataError(
            f"{error} Or move `{plan.folder}` away, so that it is created again."
        ) from error


def _list_folder(folder: Path, names: list[str]) -> dict[str, dict[str, list[str]]]:
    split_of = _split_folders(folder, names)
    splits: dict[str, dict[str, list[str]]] = {split: {} for split in SPLITS}
    for name in names:
        top, *class_names, _ = name.split("/")
        if top not in split_of or len(class_names) != 1:
            raise DataError(
                f"`{name}` in `{folder}` must be at <train, val or test>/<class>/<image>.jpg. "
                "Move or delete it."
            )
        splits[split_of[top]].setdefault(class_names[0], []).append(name)
    if lacking := [split for split, classes in splits.items() if not classes]:
        raise DataError(f"`{folder}` must contain images in {' and '.join(lacking)}. Add them.")
    check_disjoint(splits, f"`{folder}`")
    return splits


def _split_folders(folder: Path, names: list[str]) -> dict[str, str]:
    """The split of each folder; other programs write them with a capital, or as `validation`."""
    found = name_splits({name.split("/", 1)[0] for name in names})
    if found.either or any(len(tops) > 1 for tops in found.by_split.values()):
        raise DataError(
            f"`{folder}` must contain one folder for each of train, val and test. "
            f"{' '.join(found.questions())}"
        )
    return {top: split for split, tops in found.by_split.items() for top in tops}
