"""Reads and reduces black and white drawings: Omniglot's, and a user's own."""

import io
import struct
import zlib
from typing import Literal, get_args

import numpy as np
from PIL import Image

from data_prep.errors import DataError

Resampling = Literal["nearest", "lanczos"]
RESAMPLINGS: tuple[str, ...] = get_args(Resampling)

# What Pillow raises on damaged files, besides its own OSError.
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
# Omniglot's drawings are reduced 3.75 times. Strokes of a much larger drawing would
# fall between the pixels that nearest neighbour takes.
_LARGEST_REDUCTION = 4


def decode_png(data: bytes, where: str, size: tuple[int, int], mode: str) -> Image.Image:
    """Decodes a PNG file, which must be exactly of the expected kind.

    Args:
        data: the file's bytes.
        where: names the file in an error message.
        size: expected (width, height).
        mode: expected Pillow mode, "1" or "L".

    Returns:
        The loaded image.

    Raises:
        DataError: the file is empty, damaged, or of another size or mode.
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

    "nearest" takes the source pixel floor((i + 0.5) * old_side / side) and keeps
    the image 1-bit. The original code asks Pillow for Lanczos, but Pillow
    silently uses nearest neighbour on 1-bit images, so this is what it does.
    "lanczos" is what it asked for, on the image turned grey.
    """
    if resampling == "nearest":
        return image.resize((side, side), Image.Resampling.NEAREST)
    return image.convert("L").resize((side, side), Image.Resampling.LANCZOS)


def ink(image: Image.Image) -> np.ndarray:
    """Returns the image inverted, uint8 [H, W, 1]: ink 255, paper 0."""
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

    An Omniglot drawing, or another purely black and white one that is at most four
    times as large as `size`, goes by nearest neighbour as in `resize`: the pixels are
    those of the prepared Omniglot. Any other is reduced with a Lanczos filter first,
    and what is then darker than the middle between its darkest and its lightest
    pixel is ink, so that thin strokes of a large scan stay.

    Args:
        image: a drawing of mode "L".
        size: (width, height) of the result.
    """
    pure = sum(image.histogram()[1:255]) == 0
    largest = max(image.width / size[0], image.height / size[1])
    if pure and largest <= _LARGEST_REDUCTION:
        return image.resize(size, Image.Resampling.NEAREST)
    small = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    middle = (int(small.min()) + int(small.max())) / 2
    return Image.fromarray(np.where(small < middle, 0, 255).astype(np.uint8))
