"""Writes the packed form of a data set, which `reading.py` describes."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import DataError, user_path
from data_prep.io import building, recover
from data_prep.packed.reading import (
    FORMAT,
    IMAGES_NAME,
    INDEX_NAME,
    VERSION,
    array_shape,
    index_fault,
    is_packed,
)


def write_packed(
    folder: str | Path,
    pictures: Iterable[np.ndarray],
    *,
    class_names: Sequence[str],
    file_names: Sequence[Sequence[str]],
    image_shape: tuple[int, int, int],
    dataset: str,
    synthetic: bool = False,
    details: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> None:
    """Writes a packed folder, complete or not at all.

    Images are read one at a time, so a data set may be larger than memory.

    >>> write_packed(
    ...     "pets", np.zeros((2, 8, 8, 3), np.uint8), class_names=["cat", "dog"],
    ...     file_names=[["a.png"], ["b.png"]], image_shape=(8, 8, 3), dataset="pets", replace=True)

    Args:
        folder: where to write.
        pictures: images, uint8 [H, W, C] each: class by class in the order of `class_names`, and
            within a class in the order of `file_names`.
        class_names: names of the classes, sorted and distinct.
        file_names: for each class, a name for each of its images.
        image_shape: (H, W, C).
        dataset: name of the data set.
        synthetic: whether the images are procedurally drawn replacements.
        details: further entries for the index, as JSON.
        replace: whether an existing packed folder may be replaced. Other existing files and
            folders are never replaced.

    Raises:
        DataError: if an image has another shape or type, if there are too few or too many images,
            or if `folder` exists and may not be replaced.
    """
    folder = user_path(folder)
    core = {
        "format": FORMAT,
        "version": VERSION,
        "dataset": dataset,
        "synthetic": synthetic,
        "image_shape": list(image_shape),
        "class_names": list(class_names),
        "counts": [len(names) for names in file_names],
        "file_names": [list(names) for names in file_names],
        "sha256": "",
    }
    if fault := index_fault(core):
        raise DataError(f"Cannot pack `{dataset}`: {fault}.")
    recover(folder)
    with building(folder, replace=replace and is_packed(folder)) as build:
        core["sha256"] = _write_images(build / IMAGES_NAME, pictures, core)
        index = {**(details or {}), **core}
        (build / INDEX_NAME).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _write_images(path: Path, images: Iterable[np.ndarray], core: Mapping[str, Any]) -> str:
    """Writes the array image by image and returns the SHA-256 checksum of the file."""
    shape = array_shape(core)
    written = 0
    # Without a memory map: on a full disk, a write raises an error that can be explained, while a
    # memory map ends the process with SIGBUS.
    with path.open("w+b") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            if image.dtype != np.uint8 or image.shape != shape[1:]:
                raise DataError(
                    f"Image {written} of `{core['dataset']}` must be uint8 {shape[1:]}. "
                    f"Received: {image.dtype} {image.shape}."
                )
            file.write(image.tobytes())
            written += 1
        if written != shape[0]:
            raise DataError(
                f"`file_names` names {shape[0]} images of `{core['dataset']}`. "
                f"Received: {written} images."
            )
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
