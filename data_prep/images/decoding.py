"""Converts an image of any kind to the array that a network receives.

Every data set, and a single image at prediction time, is converted in the same way:

1. Decode the image; of an animation, the first frame.
2. Turn it upright by its EXIF orientation.
3. Scale its real range to 8 bits (see `depth.py`), put transparent parts on white, and convert it
   to grey or RGB.
4. Stretch it to the size with a Lanczos filter, as the original MAML code does for ImageNet.
   Nothing is cropped or padded.

Black and white drawings are reduced differently, see `black_and_white` in `drawings.py`.
"""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data_prep.errors import DataError
from data_prep.images.depth import from_samples, lower_bytes, stated_bits
from data_prep.images.drawings import (
    DECODE_ERRORS,
    Resampling,
    black_and_white,
)

# Formats of cameras, scanners and the web. EPS would run another program.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
Image.init()  # until then, Pillow does not know all of them
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".mpo", ".gif", ".bmp", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm"}
)
# From this size on, Pillow warns of a decompression bomb. Photographs are far smaller.
MAX_PIXELS = 89_478_485
# The size of that many pixels without compression, 4 bytes each.
MAX_BYTES = 4 * MAX_PIXELS
_TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_WHITE = (255, 255, 255, 255)
UNUSABLE = "Replace or remove it."


def check_shape(image_shape: tuple[int, int, int]) -> None:
    """Raises a DataError unless `image_shape` is (H, W, 1) or (H, W, 3)."""
    if len(image_shape) != 3 or min(image_shape) < 1 or image_shape[2] not in (1, 3):
        raise DataError(
            "`image_shape` must be positive (H, W, C), with C = 1 (grey) or 3 (RGB). "
            f"Received: image_shape={tuple(image_shape)}."
        )


def decode(data: bytes, where: str) -> Image.Image:
    """Decodes an image file of any kind.

    Args:
        data: content of the file.
        where: how an error message names the file.

    Returns:
        The image, upright, of mode "L" or "RGB". For an image with 16 bits per sample, its `info`
        contains the number of bits that are in use (`REAL_BITS`).

    Raises:
        DataError: if the file is empty, damaged, too large, or does not define black and white.
    """
    if not data:
        raise DataError(f"{where} is empty (0 bytes). {UNUSABLE}")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height <= MAX_PIXELS:
            return _decoded(image, data, where)
        size = f"{image.width}x{image.height}"
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        size = "many more"
    except UnidentifiedImageError as error:
        raise DataError(
            f"{where} is not a complete image of a known format ({', '.join(FORMATS)}). {UNUSABLE}"
        ) from error
    except DECODE_ERRORS as error:
        raise DataError(f"{where} is not a complete image ({error}). {UNUSABLE}") from error
    raise DataError(
        f"{where} must have at most {MAX_PIXELS} pixels. Received: {size}. Reduce or remove it."
    )


def fit(
    image: Image.Image,
    image_shape: tuple[int, int, int],
    *,
    invert: bool = False,
    resampling: Resampling = "lanczos",
) -> np.ndarray:
    """Converts a decoded image to uint8 [H, W, C]; arguments as in `load_picture`."""
    height, width, channels = image_shape
    image = image.convert("L" if channels == 1 or resampling == "nearest" else "RGB")
    if resampling == "nearest":
        image = black_and_white(image, (width, height))
    elif image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    pixels = pixels.reshape(image_shape)
    return 255 - pixels if invert else pixels


def _decoded(image: Image.Image, data: bytes, where: str) -> Image.Image:
    """Decodes an opened file; Pillow would drop the lower bits of colour images with 16 bits."""
    stated, lower = stated_bits(image, data), lower_bytes(image, data)
    image = upright(image)
    if lower is not None:
        samples = 256 * np.asarray(image, np.uint16) + np.asarray(upright(lower))
        image = from_samples(samples, stated)
    return to_8_bits(image, where, stated)


def upright(image: Image.Image) -> Image.Image:
    """Returns a copy of the image, turned by its EXIF orientation."""
    try:
        turned = ImageOps.exif_transpose(image)
    except DECODE_ERRORS:
        # The metadata is broken, but the image may be intact. If it is damaged too, `load` raises.
        image.load()
        return image
    return turned


def to_8_bits(image: Image.Image, where: str, stated: int | None = None) -> Image.Image:
    """Returns the image as "L" or "RGB", with transparent parts on white."""
    if image.mode.startswith("I"):
        image = _from_16_bits(image, where, stated)
    elif image.mode == "F":
        raise _no_8_bits(where, "with floating-point pixels")
    if image.mode in _TRANSPARENT_MODES or "transparency" in image.info:
        image = image.convert("LA" if image.mode == "La" else image.mode).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    is_grey = image.mode in ("1", "L")
    return image.convert("L" if is_grey else "RGB")


def _from_16_bits(image: Image.Image, where: str, stated: int | None) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise _no_8_bits(where, "with 32-bit pixels")
    return from_samples(pixels, stated)


def _no_8_bits(where: str, kind: str) -> DataError:
    return DataError(
        f"{where} must be an image with 1, 8 or 16 bits per channel. Received: an image {kind}, "
        "whose black and white are undefined. Save it with 8 bits per channel."
    )
