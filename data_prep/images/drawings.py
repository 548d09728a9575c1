"""Decodes and reduces black and white drawings, of Omniglot and of users."""

import io
import struct
import zlib
from typing import Literal, get_args

import numpy as np
from PIL import Image

from data_prep.errors import DataError

Resampling = Literal["nearest", "lanczos"]
RESAMPLINGS: tuple[str, ...] = get_args(Resampling)

# What Pillow raises on damaged files.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_MODES = {"1": "1-bit black and white", "L": "8-bit grey"}
# The drawings of Omniglot are reduced 3.75 times. In a much larger drawing, strokes could lie
# between the pixels that nearest neighbour selects.
_LARGEST_REDUCTION = 4


def decode_png(data: bytes, where: str, size: tuple[int, int], mode: str) -> Image.Image:
    """Decodes a PNG file that must have the given size and mode.

    Args:
        data: content of the file.
        where: how an error message names the file.
        size: expected (width, height).
        mode: expected Pillow mode, "1" or "L".

    Returns:
        The decoded image.

    Raises:
        DataError: if the file is empty, damaged, or of another size or mode.
    """
    if not data:
        raise DataError(f"{where} is empty (0 bytes). Fetch a fresh copy of it.")
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        image_kind = (image.size, image.mode)
        if image_kind == (size, mode):
            image.load()
    except DECODE_ERRORS as error:
        raise DataError(
            f"{where} is not a complete PNG image ({error}). Fetch a fresh copy of it."
        ) from error
    if image_kind != (size, mode):
        raise DataError(
            f"{where} must be {size[0]}x{size[1]} pixels, {_MODES[mode]}. Received: "
            f"{image.width}x{image.height}, mode {image.mode}. Use the unaltered original."
        )
    return image


def resize(image: Image.Image, side: int, resampling: Resampling) -> Image.Image:
    """Resizes a 1-bit image to a square.

    "nearest" selects the source pixel floor((i + 0.5) * old_side / side), and the result has 1 bit
    per pixel. So does the original code: it requests Lanczos, but Pillow silently uses nearest
    neighbour on 1-bit images. "lanczos" converts the image to grey first, so that the filter is
    applied.
    """
    if resampling == "nearest":
        return image.resize((side, side), Image.Resampling.NEAREST)
    return image.convert("L").resize((side, side), Image.Resampling.LANCZOS)


def ink(image: Image.Image) -> np.ndarray:
    """Returns the inverted image, uint8 [H, W, 1]: ink 255, paper 0."""
    return 255 - np.asarray(image.convert("L"))[:, :, np.newaxis]


def check_resampling(resampling: str) -> None:
    """Raises a DataError unless `resampling` is one of `RESAMPLINGS`."""
    if resampling not in RESAMPLINGS:
        raise DataError(
            f"`resampling` must be one of {', '.join(RESAMPLINGS)}. "
            f"Received: resampling={resampling!r}."
        )


def black_and_white(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Reduces a drawing of any kind to a strictly black and white one.

    A purely black and white drawing that is at most four times as large as `size`, such as one of
    Omniglot, is reduced by nearest neighbour as in `resize`, which gives the pixels of the prepared
    Omniglot. Any other drawing is reduced with a Lanczos filter. The pixels of the result that are
    darker than the middle between the darkest and the lightest one are ink, so that thin strokes of
    a large scan are kept.

    Args:
        image: a drawing of mode "L".
        size: (width, height) of the result.

    Returns:
        An image of mode "L" with the values 0 and 255.
    """
    pure = sum(image.histogram()[1:255]) == 0
    largest = max(image.width / size[0], image.height / size[1])
    if pure and largest <= _LARGEST_REDUCTION:
        return image.resize(size, Image.Resampling.NEAREST)
    small = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    middle = (int(small.min()) + int(small.max())) / 2
    return Image.fromarray(np.where(small < middle, 0, 255).astype(np.uint8))
