"""Converts an image of any kind to the array that a network receives.

Every data set, and a single image at prediction time, is converted in the same way:

1. Decode the image; of an animation, the first frame.
2. Turn it upright by its EXIF orientation.
3. Convert it to 8 bits, put transparent parts on white, and convert it to grey or RGB.
4. Stretch it to the size with a Lanczos filter, as the original MAML code does for ImageNet.
   Nothing is cropped or padded.

Black and white drawings are reduced differently, see `black_and_white` in `drawings.py`.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data_prep.errors import DataError
from data_prep.images.drawings import (
    DECODE_ERRORS,
    Resampling,
    black_and_white,
    check_resampling,
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
_UNUSABLE = "Replace or remove it."


def load_picture(
    picture: str | Path | np.ndarray,
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
        picture: path of an image file of any size and mode; or pixels, uint8 [H, W] or [H, W, C]
            with C = 1 (grey), 3 (RGB) or 4 (RGB and opacity).
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
        # A user can do nothing about unusual metadata, of which Pillow warns.
        warnings.simplefilter("ignore")
        image = _from_array(picture) if isinstance(picture, np.ndarray) else _from_file(picture)
        return fit(image, image_shape, invert=invert, resampling=resampling)


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
        The image, upright, of mode "L" or "RGB".

    Raises:
        DataError: if the file is empty, damaged, too large, or does not define black and white.
    """
    if not data:
        raise DataError(f"{where} is empty (0 bytes). {_UNUSABLE}")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height <= MAX_PIXELS:
            return _to_8_bits(_upright(image), where)
        size = f"{image.width}x{image.height}"
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        size = "many more"
    except UnidentifiedImageError as error:
        raise DataError(
            f"{where} is not a complete image of a known format ({', '.join(FORMATS)}). {_UNUSABLE}"
        ) from error
    except DECODE_ERRORS as error:
        raise DataError(f"{where} is not a complete image ({error}). {_UNUSABLE}") from error
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


def _from_file(path: str | Path) -> Image.Image:
    path = Path(path)
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


def _from_array(pixels: np.ndarray) -> Image.Image:
    channels = {2: 1, 3: pixels.shape[-1]}.get(pixels.ndim) if pixels.size else None
    if pixels.dtype != np.uint8 or channels not in (1, 3, 4):
        raise DataError(
            "An array must be an image, uint8 [H, W] or [H, W, C] with C = 1, 3 or 4. "
            f"Received: {pixels.dtype} {list(pixels.shape)}."
        )
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels)
    return _to_8_bits(image, "the array")


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = ImageOps.exif_transpose(image)
    except DECODE_ERRORS:
        # The metadata is broken, but the image may be intact. If it is damaged too, `load` raises.
        image.load()
        return image
    return turned


def _to_8_bits(image: Image.Image, where: str) -> Image.Image:
    """Returns the image as "L" or "RGB", with transparent parts on white."""
    if image.mode.startswith("I"):
        image = _from_16_bits(image, where)
    elif image.mode == "F":
        raise _no_8_bits(where, "with floating-point pixels")
    if image.mode in _TRANSPARENT_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    is_grey = image.mode in ("1", "L")
    return image.convert("L" if is_grey else "RGB")


def _from_16_bits(image: Image.Image, where: str) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise _no_8_bits(where, "with 32-bit pixels")
    return Image.fromarray((pixels // 256).astype(np.uint8))


def _no_8_bits(where: str, kind: str) -> DataError:
    return DataError(
        f"{where} must be an image with 1, 8 or 16 bits per channel. Received: an image {kind}, "
        "whose black and white are undefined. Save it with 8 bits per channel."
    )
