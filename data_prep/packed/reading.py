"""The packed form of a data set: one array file and one index, which load fast.

A packed folder contains `images.npy`, uint8 [num_images, H, W, C], class by class, and
`index.json`, which describes the rows. The number of images may differ between classes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import DataError, user_path

FORMAT = "mtnet_tf.packed_images"
VERSION = 1
IMAGES_NAME, INDEX_NAME = "images.npy", "index.json"
_FIELDS = {
    "format": str,
    "version": int,
    "dataset": str,
    "synthetic": bool,
    "image_shape": list,
    "class_names": list,
    "counts": list,
    "file_names": list,
    "sha256": str,
}


@dataclass(frozen=True, eq=False)
class PackedImages:
    """A packed data set, opened for reading.

    Attributes:
        images: uint8 [num_images, H, W, C], memory-mapped and read-only.
        class_names: names in the order of the rows.
        counts: int64 [num_classes], number of rows of each class.
        file_names: for each class, the names of the files that its rows were read from.
        dataset: name of the data set.
        synthetic: whether the images are procedurally drawn replacements.
        sha256: checksum of the array file.
        details: further entries of the index, such as `resampling` and `duplicates`.
    """

    images: np.ndarray
    class_names: tuple[str, ...]
    counts: np.ndarray
    file_names: tuple[tuple[str, ...], ...]
    dataset: str
    synthetic: bool
    sha256: str
    details: Mapping[str, Any]

    @property
    def offsets(self) -> np.ndarray:
        """int64 [num_classes + 1]: class k is images[offsets[k]:offsets[k + 1]]."""
        return np.concatenate([[0], np.cumsum(self.counts)])


def is_packed(folder: Path) -> bool:
    """Whether `folder` was written by `write_packed`, even if it is damaged now."""
    try:
        return _read_index(folder).get("format") == FORMAT
    except ValueError:
        return False


def load_packed(folder: str | Path, *, verify: bool = False) -> PackedImages:
    """Opens a packed folder.

    Args:
        folder: as passed to `write_packed`, or as returned by a `prepare_...` function.
        verify: whether to compare the SHA-256 checksum of the array file, which reads all of it.

    Returns:
        The data set, whose images are memory-mapped.

    Raises:
        DataError: if the folder is missing, damaged, or of another format version.
    """
    folder = user_path(folder)
    index = _read_index(folder)
    _check_index(index, folder)
    images = _map_images(folder, array_shape(index))
    if verify:
        _check_digest(folder, index["sha256"])
    return PackedImages(
        images=images,
        class_names=tuple(index["class_names"]),
        counts=np.array(index["counts"], np.int64),
        file_names=tuple(tuple(names) for names in index["file_names"]),
        dataset=index["dataset"],
        synthetic=index["synthetic"],
        sha256=index["sha256"],
        details={key: value for key, value in index.items() if key not in _FIELDS},
    )


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"No packed images at `{folder}`: `{INDEX_NAME}` is missing. "
            "Prepare them with `python -m data_prep`."
        ) from None
    except ValueError as error:
        raise _damaged(folder, f"`{INDEX_NAME}` is not JSON: {error}") from error
    if not isinstance(index, dict):
        raise _damaged(folder, f"`{INDEX_NAME}` is not a JSON object")
    return index


def _check_index(index: Mapping[str, Any], folder: Path) -> None:
    kind = (index.get("format"), index.get("version"))
    if kind != (FORMAT, VERSION):
        raise DataError(
            f"`{folder}` must be of format {FORMAT}, version {VERSION}. Received: {kind[0]}, "
            f"version {kind[1]}. Move it away and prepare the data again."
        )
    try:
        fault = index_fault(index)
    except TypeError as error:
        fault = f"`{INDEX_NAME}` has an entry of the wrong type ({error})"
    if fault:
        raise _damaged(folder, fault)


def array_shape(index: Mapping[str, Any]) -> tuple[int, ...]:
    """Returns the shape of the array that an index describes."""
    return (sum(index["counts"]), *index["image_shape"])


def index_fault(index: Mapping[str, Any]) -> str | None:
    """Returns what is missing or contradictory in an index, or None."""
    for field, kind in _FIELDS.items():
        if not isinstance(index.get(field), kind):
            return f"`{INDEX_NAME}` lacks a {kind.__name__} `{field}`"
    names, counts = index["class_names"], index["counts"]
    if counts != [len(files) for files in index["file_names"]] or len(names) != len(counts):
        return "`class_names`, `counts` and `file_names` disagree"
    if names != sorted(set(names)):
        return "`class_names` must be sorted and distinct"
    if not counts or min(counts) < 1:
        return "there must be at least one class, and an image in each"
    if len(index["image_shape"]) != 3 or min(index["image_shape"]) < 1:
        return "`image_shape` must be (H, W, C), all positive"
    return None


def _map_images(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        images = np.load(folder / IMAGES_NAME, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise _damaged(folder, f"`{IMAGES_NAME}` is missing") from None
    except (ValueError, EOFError) as error:
        raise _damaged(folder, f"`{IMAGES_NAME}` is truncated or not an array: {error}") from error
    if images.dtype != np.uint8 or images.shape != shape:
        raise _damaged(
            folder,
            f"`{INDEX_NAME}` describes uint8 {shape}, but `{IMAGES_NAME}` contains {images.dtype} "
            f"{images.shape}",
        )
    return images


def _check_digest(folder: Path, expected: str) -> None:
    with (folder / IMAGES_NAME).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise _damaged(folder, f"the SHA-256 of `{IMAGES_NAME}` must be {expected}, but is {found}")


def _damaged(folder: Path, fault: str) -> DataError:
    return DataError(
        f"The packed images at `{folder}` are damaged: {fault}. "
        "Delete this folder and prepare the data again."
    )
