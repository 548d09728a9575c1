"""Prepares a user's own images: a folder of class folders, of any size and kind."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from data_prep.errors import DataError, os_errors_explained
from data_prep.folder.layout import Layout, read_layout
from data_prep.images import MAX_BYTES, SUFFIXES, check_shape, decode, fit
from data_prep.io import (
    FolderSource,
    bar,
    building,
    checked_workers,
    exclusive,
    in_parallel,
    recover,
)
from data_prep.packed import SPLITS, count, fill_splits, holds_splits, listed, load_packed
from data_prep.preparation import DuplicateFinder, is_prepared

# Part of what a packed folder is recognised by: increase it when the same
# files give other images or splits.
_VERSION = 1


def prepare_folder(
    source: str | Path,
    packed_dir: str | Path,
    image_size: int | tuple[int, int],
    grey: bool | None = None,
    *,
    seed: int = 0,
    split: tuple[float, float, float] = (0.64, 0.16, 0.20),
    min_per_class: int = 2,
    force: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Packs a folder of class folders, or of train, val and test folders of them.

    Every image is resized as in `load_picture`: turned upright by
    its EXIF orientation, stretched with a Lanczos filter, neither cropped nor padded.
    A class is a folder that contains images; its name is its path.

    Nothing is written into `source`. The result lies in `packed_dir` under a name that
    changes with the files (names, sizes, times) and with the options, so that a changed
    folder is packed again and an unchanged one is not.

    Args:
        source: the folder. Dotfiles and what systems leave behind are ignored,
            symbolic links followed.
        packed_dir: where results are kept; outside of `source`.
        image_size: side of the packed squares, or (height, width).
        grey: whether to pack one channel instead of RGB; None: when all images are grey.
        seed: decides the split of classes if `source` does not.
        split: the proportions of classes in training, validation and test.
        min_per_class: the fewest images a class may have; an episode needs two.
        force: pack again.
        workers: how many images to work on at once; all cores by default.
        progress: whether to show bars on a terminal.

    Returns:
        The folder that contains one packed folder per split: train, val and test.

    Raises:
        DataError: one line that says what is wrong and how to fix it.
    """
    source, packed_dir = Path(source), Path(packed_dir)
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    check_shape((height, width, 3))
    workers = checked_workers(workers)
    options = {
        "image_size": [height, width],
        "grey": grey,
        "seed": seed,
        "split_sizes": list(split),
        "min_per_class": min_per_class,
        "version": _VERSION,
    }
    _check_places(source, packed_dir)
    with os_errors_explained(packed_dir):
        layout = read_layout(source, seed=seed, sizes=split, min_per_class=min_per_class)
        packed = packed_dir / _name(layout.source, options)
        if force or not _is_ready(packed):
            with exclusive(packed_dir):
                recover(packed)
                if force or not _is_ready(packed):  # another process may have made it
                    _pack(layout, packed, options, workers=workers, progress=progress)
    return packed


def ensure_folder(
    source: str | Path,
    image_size: int | tuple[int, int],
    grey: bool | None = None,
    *,
    packed_dir: str | Path | None = None,
    seed: int = 0,
) -> Path:
    """The packed form of a user's folder: as it was prepared, else prepared now.

    Args:
        source: this and the rest as in `prepare_folder`.
        image_size: see there.
        grey: see there.
        packed_dir: see there; `default_packed_dir()` by default.
        seed: see there.

    Returns:
        The folder that contains one packed folder per split.

    Raises:
        DataError: one line that says what is wrong and how to fix it.
    """
    return prepare_folder(source, packed_dir or default_packed_dir(), image_size, grey, seed=seed)


def default_packed_dir() -> Path:
    """The default folder of packed folders, in the user's cache."""
    return platformdirs.user_cache_path("mtnet_tf")


def _check_places(source: Path, packed_dir: Path) -> None:
    if not source.is_dir():
        received = "a file" if source.exists() else "nothing there"
        raise DataError(f"`{source}` must be a folder of class folders. Received: {received}.")
    if packed_dir.resolve().is_relative_to(source.resolve()):
        raise DataError(
            f"`{packed_dir}` lies in `{source}`, where nothing is to be written. Choose a place "
            "outside of it with `packed_dir`."
        )


def _is_ready(packed: Path) -> bool:
    if not is_prepared(packed):
        return False
    for split in SPLITS:
        load_packed(packed / split)
    return True


def _name(source: FolderSource, options: Mapping[str, Any]) -> str:
    """Returns a name that changes with the files and the options."""
    content = [options, [[name, *source.stamp(name)] for name in source.names]]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    readable = re.sub(r"[^\w-]+", "_", source.path.resolve().name, flags=re.ASCII)[:40]
    return f"{readable}-{digest[:16]}"


def _pack(
    layout: Layout, packed: Path, options: Mapping[str, Any], *, workers: int, progress: bool
) -> None:
    source = layout.source
    if source.others:
        _warn("Left out, no images by their names: %s.", source.others)
    height, width = options["image_size"]
    is_grey, duplicates = _examine(layout, (height, width, 3), workers, progress)
    channels = 1 if (is_grey if options["grey"] is None else options["grey"]) else 3
    shape = (height, width, channels)
    if duplicates:
        pairs = [f"{second} = {first}" for first, second in duplicates]
        _warn("Images with the same pixels, all kept: %s.", pairs)
    with building(packed, replace=holds_splits(packed)) as build:
        fill_splits(
            build,
            layout.splits,
            lambda name: fit(decode(source.read(name), source.where(name)), shape),
            image_shape=shape,
            dataset=source.path.resolve().name,
            synthetic=False,
            details={**options, "split_given": layout.given, "duplicates": duplicates},
            workers=workers,
            progress=progress,
        )
        if _name(FolderSource(source.path, MAX_BYTES, SUFFIXES), options) != packed.name:
            raise DataError(f"`{source.path}` changed while it was packed. Pack it again.")


def _examine(
    layout: Layout, shape: tuple[int, int, int], workers: int, progress: bool
) -> tuple[bool, list[list[str]]]:
    """Decodes all images; returns whether all are grey, and pairs with the same pixels.

    Raises:
        DataError: images cannot be read; names the first ones.
    """
    source, finder = layout.source, DuplicateFinder()
    all_grey, faults = True, {}

    def look(name: str) -> tuple[bool, bytes, str]:
        try:
            pixels = fit(decode(source.read(name), source.where(name)), shape)
        except DataError as error:
            return True, b"", str(error)
        is_grey = bool((pixels == pixels[..., :1]).all())
        return is_grey, hashlib.sha256(pixels.tobytes()).digest(), ""

    looks = in_parallel(look, source.names, workers)
    looks = bar(looks, "Checking images", count(layout.splits), "image", progress=progress)
    for name, (is_grey, digest, fault) in zip(source.names, looks, strict=True):
        all_grey &= is_grey
        if fault:
            faults[name] = fault
        else:
            finder.add(name, digest)
    if faults:
        first, *others = faults
        more = f" Unusable too are {len(others):,} more of {count(layout.splits):,}: "
        raise DataError(faults[first] + (f"{more}{listed(others)}." if others else ""))
    return all_grey, finder.pairs


def _warn(message: str, names: list[str]) -> None:
    logging.getLogger(__name__).warning(message, listed(names))
