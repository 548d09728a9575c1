"""Reads one image: a file, a Pillow image or an array."""

import os
import warnings

import numpy as np
from PIL import Image

from data_prep.errors import DataError, user_path
from data_prep.images.decoding import (
    MAX_BYTES,
    MAX_PIXELS,
    UNUSABLE,
    check_shape,
    decode,
    fit,
    to_8_bits,
    upright,
)
from data_prep.images.depth import from_samples, is_deep
from data_prep.images.drawings import DECODE_ERRORS, Resampling, check_resampling

# What is accepted as one image.
Picture = str | os.PathLike[str] | np.ndarray | Image.Image


def load_picture(
    picture: Picture,
    image_shape: tuple[int, int, int],
    *,
    invert: bool = False,
    resampling: Resampling = "lanczos",
) -> np.ndarray:
    """Converts one image to a network's input, exactly as its data set was prepared.

    MiniImagenet and folders of images use the defaults. Omniglot uses `invert=True` and the
    `resampling` in its index, which is "nearest" by default: a drawing in dark ink on light paper
    becomes ink 255 on paper 0.

    >>> photo = np.zeros((120, 90, 3), np.uint8)
    >>> load_picture(photo, (84, 84, 3)).shape
    (84, 84, 3)
    >>> load_picture(photo, (28, 28, 1), invert=True, resampling="nearest").shape
    (28, 28, 1)

    Args:
        picture: path of an image file of any size and mode; a Pillow image; or pixels [H, W] or
            [H, W, C] with C = 1 (grey), 3 (RGB) or 4 (RGB and opacity): uint8, uint16 in the
            range that `depth.py` describes, or bool (True is white).
        image_shape: (H, W, C) of the result; C is 1 (grey) or 3 (RGB).
        invert: exchange light and dark.
        resampling: "lanczos"; or "nearest" for a strictly black and white image, see
            `black_and_white` in `drawings.py`.

    Returns:
        uint8 [H, W, C].

    Raises:
        DataError: if the image is missing, damaged, too large, or of a kind that does not define
            black and white; or if an argument has a wrong value.
    """
    check_resampling(resampling)
    check_shape(image_shape)
    with warnings.catch_warnings():
        # A user can do nothing about unusual metadata about which Pillow warns.
        warnings.simplefilter("ignore")
        return fit(_as_image(picture), image_shape, invert=invert, resampling=resampling)


def _as_image(picture: Picture) -> Image.Image:
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Image.Image):
        return _from_image(picture)
    return _from_file(picture)


def _from_file(path: str | os.PathLike[str]) -> Image.Image:
    path = user_path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(
                f"`{path}` must have at most {MAX_BYTES} bytes. "
                f"Received: {path.stat().st_size}. Reduce it."
            )
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"Cannot read the image `{path}`: {error.strerror or error}.") from error
    return decode(data, f"`{path}`")


def _from_image(image: Image.Image) -> Image.Image:
    """Converts a Pillow image, which does not change."""
    where = "the Pillow image"
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise DataError(
            f"{where} must have from 1 to {MAX_PIXELS} pixels. "
            f"Received: {image.width}x{image.height}."
        )
    try:
        if is_deep(image) and (file := image.fp) is not None:
            # Pillow would drop the lower bits of colour images, and what the file states.
            place = file.tell()
            file.seek(0)
            data = file.read()
            file.seek(place)
            return decode(data, where)
        return to_8_bits(upright(image), where)
    except DataError:
        raise
    except DECODE_ERRORS as error:
        raise DataError(f"{where} cannot be read ({error}). {UNUSABLE}") from error


def _from_array(pixels: np.ndarray) -> Image.Image:
    channels = {2: 1, 3: pixels.shape[-1]}.get(pixels.ndim) if pixels.size else None
    kinds = (np.uint8, np.uint16, np.bool_)
    if pixels.dtype not in kinds or channels not in (1, 3, 4):
        is_real = np.issubdtype(pixels.dtype, np.floating)
        raise DataError(
            "An array must be an image, uint8 [H, W] or [H, W, C] with C = 1, 3 or 4 (or uint16, "
            f"or bool). Received: {pixels.dtype} {list(pixels.shape)}. Convert the array"
            f"{': np.rint(255 * x).astype(np.uint8) if white is 1' if is_real else ''}."
        )
    if pixels.ndim == 3 and channels == 1:
        pixels = pixels[..., 0]
    if pixels.dtype == np.uint16:
        return to_8_bits(from_samples(pixels), "the array")
    if pixels.dtype == np.bool_:
        pixels = np.where(pixels, np.uint8(255), np.uint8(0))
    return to_8_bits(Image.fromarray(np.ascontiguousarray(pixels)), "the array")
