"""Brings an image of any kind to the array a network takes.

There is one way, for every data set and for a single image at prediction time:

1. decode; of an animation, the first frame;
2. turn upright by the EXIF orientation;
3. bring to 8 bits; lay what is transparent on white; then grey or RGB, as asked;
4. stretch to the size with a Lanczos filter, as the original MAML code does to
   ImageNet: nothing is cropped, nothing padded.

Black and white drawings are reduced differently, see `data_prep.drawings`.
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

# Never those that run another program (EPS) or that no camera or scanner makes.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
Image.init()  # or else Pillow does not know all of them yet
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".mpo", ".gif", ".bmp", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm"}
)
# Where Pillow begins to warn of a decompression bomb; far above any camera's
# output that is to become an image of a few dozen pixels.
MAX_PIXELS = 89_478_485
# A file of that many pixels without compression, 4 bytes each.
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
    """Brings one image to a network's input, exactly as its data set was prepared.

    MiniImagenet and folders of images take the defaults. Omniglot takes
    `invert=True` and the `resampling` its index names, "nearest" by default: a
    drawing in dark ink on light paper then becomes ink 255 on paper 0.

        pixels = load_picture("photo.jpg", (84, 84, 3))
        pixels = load_picture("drawing.png", (28, 28, 1), invert=True, resampling="nearest")

    Args:
        picture: a file of any size and mode, or its pixels: uint8 [H, W], or
            [H, W, C] with C of 1 (grey), 3 (RGB) or 4 (RGB and opacity).
        image_shape: (H, W, C) of the result; C is 1 (grey) or 3 (RGB).
        invert: exchange light and dark.
        resampling: "lanczos", or "nearest": strictly black and white, see
            `data_prep.drawings.black_and_white`.

    Returns:
        uint8 [H, W, C].

    Raises:
        DataError: the image is missing, damaged, too large, or of a kind that has
            no clear meaning in 8 bits; or an argument is impossible.
    """
    check_resampling(resampling)
    check_shape(image_shape)
    with warnings.catch_warnings():
        # Pillow's warnings about unusual metadata are of no use to a user.
        warnings.simplefilter("ignore")
        image = _from_array(picture) if isinstance(picture, np.ndarray) else _from_file(picture)
        return fit(image, image_shape, invert=invert, resampling=resampling)


def check_shape(image_shape: tuple[int, int, int]) -> None:
    """Raises a DataError unless `image_shape` is (H, W, 1) or (H, W, 3)."""
    if len(image_shape) != 3 or min(image_shape) < 1 or image_shape[2] not in (1, 3):
        raise DataError(
            "`image_shape` must be (H, W, C), positive, with C of 1 (grey) or 3 (RGB). "
            f"Received: image_shape={tuple(image_shape)}."
        )


def decode(data: bytes, where: str) -> Image.Image:
    """Decodes an image file of any kind.

    Args:
        data: the file's bytes.
        where: names the file in an error message.

    Returns:
        The image, upright, of mode "L" or "RGB".

    Raises:
        DataError: the file is empty, damaged, too large, or has no clear meaning in 8 bits.
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
            f"{where} is not a complete image of a known kind ({', '.join(FORMATS)}). {_UNUSABLE}"
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
            "An array must be a uint8 image [H, W], or [H, W, C] with C of 1, 3 or 4. "
            f"Received: {pixels.dtype} {list(pixels.shape)}."
        )
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels)
    return _to_8_bits(image, "the array")


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = ImageOps.exif_transpose(image)
    except DECODE_ERRORS:
        # Metadata are broken, but the image may be intact; otherwise `load` reports it.
        image.load()
        return image
    return turned


def _to_8_bits(image: Image.Image, where: str) -> Image.Image:
    """Returns the image as "L" or "RGB", what is transparent laid on white."""
    if image.mode.startswith("I"):
        image = _from_16_bits(image, where)
    elif image.mode == "F":
        raise _no_8_bits(where, "of floating-point pixels")
    if image.mode in _TRANSPARENT_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    is_grey = image.mode in ("1", "L")
    return image.convert("L" if is_grey else "RGB")


def _from_16_bits(image: Image.Image, where: str) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise _no_8_bits(where, "of 32-bit pixels")
    return Image.fromarray((pixels // 256).astype(np.uint8))


def _no_8_bits(where: str, kind: str) -> DataError:
    return DataError(
        f"{where} must be an image of 1, 8 or 16 bits a channel. Received: one {kind}, which do "
        "not define black and white. Save it with 8 bits."
    )
