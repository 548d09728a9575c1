"""Decides whether a user gave one image or several."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from data_prep.images import Picture

_CHANNELS = (1, 3, 4)
_EXPECTED = (
    "`pictures` must be one image (a path, a Pillow image, or an array [H, W] or [H, W, C] with "
    "C = 1, 3 or 4) or several (a list of these, or an array [m, H, W, C])"
)


def list_pictures(
    pictures: Any, num_channels: int | None = None, num_labels: int | None = None
) -> list[Picture]:
    """A list of the given images, which has one entry for one image.

    An array [a, b, c] is one image with c channels if c is 1, 3 or 4, and a grey images if it can
    mean nothing else.

    Args:
        pictures: one image or several, see `FewShotClassifier`.
        num_channels: number of channels of the network's images; None if it is unknown.
        num_labels: number of labels that were given with the images; None if there are none.

    Raises:
        ValueError: if there is no image, or it is unclear how many there are.
    """
    found = _listed(pictures, num_channels, num_labels)
    if not found:
        raise ValueError(f"{_EXPECTED}, at least one path or array. Received: {pictures!r}.")
    return [_as_picture(picture) for picture in found]


def _listed(pictures: Any, num_channels: int | None, num_labels: int | None) -> list[Any]:
    if isinstance(pictures, (str, os.PathLike, Image.Image)):
        return [pictures]
    if hasattr(pictures, "__array__"):
        return _listed_array(_as_array(pictures), num_channels, num_labels)
    is_other = isinstance(pictures, (bytes, bytearray, Mapping, io.IOBase))
    if is_other or not isinstance(pictures, Iterable):
        raise ValueError(
            f"{_EXPECTED}, at least one path or array. Received: {_shortened(pictures)}."
        )
    return list(pictures)


def _listed_array(array: np.ndarray, num_channels: int | None, num_labels: int | None) -> list[Any]:
    if array.dtype.kind not in "biufc":  # for example paths in a column of a table
        if array.ndim > 1:
            raise _wrong_array(array, "of objects. Convert it to uint8")
        return list(np.atleast_1d(array))
    if array.ndim == 2:
        return [array]
    if array.ndim == 4 or array.size == 0:
        return list(array)
    if array.ndim != 3:
        raise _wrong_array(array, "with another number of axes")
    is_several = _is_several(array.shape, num_channels, num_labels)
    if is_several is None:
        advice = f"list(array) for {len(array)} grey images, or move the channels to the last axis"
        raise _wrong_array(array, f"which is ambiguous. Pass {advice}")
    return list(array) if is_several else [array]


def _is_several(
    shape: Sequence[int], num_channels: int | None, num_labels: int | None
) -> bool | None:
    """Whether an array of shape [a, b, c] is a images [b, c]; None if that is unclear."""
    a, b, c = shape
    if c in _CHANNELS:
        return None if b == c else False
    if a == num_labels:
        return True
    has_channels_first = num_channels == 3 and a in (3, 4)
    has_unusual_channels = a == b or c == 2
    return None if has_channels_first or has_unusual_channels else True


def _as_picture(picture: Any) -> Picture:
    if isinstance(picture, (str, os.PathLike, Image.Image)):
        return picture
    if not hasattr(picture, "__array__"):
        raise ValueError(f"{_EXPECTED}. Received: a list that contains {_shortened(picture)}.")
    return _as_array(picture)


def _as_array(values: Any) -> np.ndarray:
    """Converts tensors of other libraries, too."""
    try:
        return np.asarray(values)
    except Exception as error:  # each library raises an exception of its own
        raise ValueError(
            f"{_EXPECTED}. Received: {type(values).__name__}, which cannot be converted to an "
            f"array ({error})."
        ) from error


def _wrong_array(array: np.ndarray, fault: str) -> ValueError:
    return ValueError(f"{_EXPECTED}. Received: an array {list(array.shape)}, {fault}.")


def _shortened(value: Any) -> str:
    return repr(value) if value is None else f"a value of type {type(value).__name__}"
