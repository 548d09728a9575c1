"""Prepares a user's own images, of any size and format, in a folder of class folders."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from data_prep.errors import DataError, os_errors_explained
from data_prep.folder.examination import examine
from data_prep.folder.layout import Layout, read_layout
from data_prep.images import MAX_BYTES, SUFFIXES, decode, fit
from data_prep.io import (
    FolderSource,
    building,
    exclusive,
    printable,
    recover,
    user_path,
    validate_workers,
)
from data_prep.packed import SPLITS, fill_splits, holds_splits, load_packed
from data_prep.preparation import is_prepared

# Part of the name of a packed folder. Increase it when the same files would give other images or
# splits.
_VERSION = 2


def prepare_folder(
    source: str | Path,
    packed_dir: str | Path,
    image_size: int | tuple[int, int],
    grey: bool | None = None,
    *,
    seed: int = 0,
    split: tuple[float, float, float] = (0.64, 0.16, 0.20),
    min_classes: tuple[int, int, int] = (1, 1, 1),
    min_per_class: int = 2,
    force: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Packs a folder of class folders, or of train, val and test folders that contain them.

    The folders of splits may have other usual names (Training, VALID, meta-test, eval). If folders
    seem to be splits, but there is not exactly one of each, an error states what is unclear.

    Every image is resized as in `load_picture`: turned upright by its EXIF orientation and
    stretched with a Lanczos filter, without cropping or padding. A class is a folder that contains
    images. Its name is its path.

    Nothing is written into `source`. The name of the result in `packed_dir` depends on the files
    (names, sizes, times) and on the options. So the folder is packed again if it has changed, and
    only then.

    Args:
        source: the folder. Hidden files and files created by operating systems are ignored.
            Symbolic links are followed.
        packed_dir: folder of the results, outside of `source`.
        image_size: height and width of the packed images: one number, or (height, width).
        grey: whether to pack one channel instead of RGB. None: one channel if all images are grey.
        seed: determines the splits if `source` does not contain train, val and test.
        split: proportions of classes in training, validation and test.
        min_classes: smallest number of classes in training, validation and test, for the number of
            ways of a task. If a split has fewer by its proportion, it gets more of the others, as
            far as there are enough classes; a warning states the numbers.
        min_per_class: smallest number of images of a class; an episode needs two.
        force: pack again.
        workers: how many images to process in parallel; as many as cores by default.
        progress: whether to show bars on a terminal.

    Returns:
        The folder that contains one packed folder per split: train, val and test.

    Raises:
        DataError: if the preparation fails; the message states how to fix it.
    """
    # With an absolute path, no message contains a folder name that looks like an argument.
    source, packed_dir = user_path(source).absolute(), user_path(packed_dir)
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if min(height, width) < 1:
        raise DataError(f"`image_size` must be positive. Received: image_size={image_size}.")
    workers = validate_workers(workers)
    options = {
        "image_size": [height, width],
        "grey": grey,
        "seed": seed,
        "min_per_class": min_per_class,
        "version": _VERSION,
    }
    _check_places(source, packed_dir)
    with os_errors_explained(packed_dir):
        layout = read_layout(
            source,
            seed=seed,
            sizes=split,
            min_classes=min_classes,
            min_per_class=min_per_class,
        )
        options["split_sizes"] = list(layout.sizes)
        packed = packed_dir / _name(layout.source, options)
        if force or not _is_ready(packed):
            with exclusive(packed_dir):
                recover(packed)
                if force or not _is_ready(packed):  # another process may have created it
                    _pack(layout, packed, options, workers=workers, progress=progress)
    return packed


def ensure_folder(
    source: str | Path,
    image_size: int | tuple[int, int],
    grey: bool | None = None,
    *,
    packed_dir: str | Path | None = None,
    seed: int = 0,
    min_classes: tuple[int, int, int] = (1, 1, 1),
) -> Path:
    """Returns the packed form of a user's folder. It is prepared if it does not exist.

    Args:
        source: see `prepare_folder`.
        image_size: see `prepare_folder`.
        grey: see `prepare_folder`.
        packed_dir: see `prepare_folder`; `default_packed_dir()` by default.
        seed: see `prepare_folder`.
        min_classes: see `prepare_folder`.

    Returns:
        The folder that contains one packed folder per split.

    Raises:
        DataError: if the preparation fails; the message states how to fix it.
    """
    packed_dir = packed_dir or default_packed_dir()
    return prepare_folder(source, packed_dir, image_size, grey, seed=seed, min_classes=min_classes)


def default_packed_dir() -> Path:
    """Returns the folder of packed folders in the user's cache."""
    return platformdirs.user_cache_path("mtnet_tf")


def _check_places(source: Path, packed_dir: Path) -> None:
    if not source.is_dir():
        received = "a file" if source.exists() else "nothing there"
        raise DataError(
            f"`{source}` must be a folder of class folders. Received: {received}. Name another "
            "folder."
        )
    if packed_dir.resolve().is_relative_to(source.resolve()):
        raise DataError(
            f"The results must be outside of `{source}`, but `{packed_dir.absolute()}` is in it. "
            "Name another folder with `packed_dir`."
        )


def _is_ready(packed: Path) -> bool:
    if not is_prepared(packed):
        return False
    for split in SPLITS:
        load_packed(packed / split)
    return True


def _name(source: FolderSource, options: Mapping[str, Any]) -> str:
    """Returns the name of the packed folder, which depends on the files and the options."""
    content = [options, [[name, *source.stamp(name)] for name in source.names]]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    readable = re.sub(r"[^\w-]+", "_", source.path.resolve().name, flags=re.ASCII)[:40]
    return f"{readable}-{digest[:16]}"


def _pack(
    layout: Layout, packed: Path, options: Mapping[str, Any], *, workers: int, progress: bool
) -> None:
    source = layout.source
    height, width = options["image_size"]
    found = examine(layout, (height, width, 3), workers, progress)
    for line in found.notes(source.others):
        logging.getLogger(__name__).warning("%s", printable(line))
    channels = 1 if (found.is_grey if options["grey"] is None else options["grey"]) else 3
    shape = (height, width, channels)
    with building(packed, replace=holds_splits(packed)) as build:
        fill_splits(
            build,
            layout.splits,
            lambda name: fit(decode(source.read(name), source.where(name)), shape),
            image_shape=shape,
            dataset=source.path.resolve().name,
            synthetic=False,
            details={**options, "split_given": layout.given, "duplicates": found.duplicates},
            workers=workers,
            progress=progress,
        )
        if _name(FolderSource(source.path, MAX_BYTES, SUFFIXES), options) != packed.name:
            raise DataError(f"`{source.path}` changed while it was being packed. Pack it again.")
