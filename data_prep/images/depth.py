"""The real range of images with 16 bits per sample, and their conversion to 8 bits.

Cameras with 12 bits write files with 16 bits, whose values end at 4095 instead of 65535. The range
of an image is, in this order:

1. What the file states: the PNG chunk sBIT, or the TIFF tags MaxSampleValue and BitsPerSample. It
   is ignored if there are larger values. (PNG allows both: values of 12 bits, and values that
   were scaled to 16 bits.) Pillow scales the values of PGM files to 16 bits.
2. The smallest of 8, 12 and 16 bits that contains all values of the image.

White is the end of this range. The rule depends on the file alone, so that an image has the same
pixels in a data set and in a prediction.
"""

import io
import struct
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
from PIL import Image, ImageFile

# Entry of `Image.info`: the number of bits that the image was found to have.
REAL_BITS = "real_bits"
_DEPTHS = (8, 12, 16)
_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE = 258, 281  # TIFF
_PNG_SIGNATURE_BYTES = 8
_PNG_CHUNK_BYTES = 12  # length, kind and checksum
# Pillow's names of 16 bits per channel, big-endian and little-endian.
_OTHER_ORDER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
_OTHER_ORDER |= {little: big for big, little in _OTHER_ORDER.items()}


def real_bits(samples: np.ndarray, stated: int | None = None) -> int:
    """Returns the number of bits of the range of an image.

    >>> real_bits(np.array([0, 4095])), real_bits(np.array([0, 4096]))
    (12, 16)

    Args:
        samples: integers from 0 to 65535.
        stated: the number of bits that the file states; None if it states nothing.
    """
    largest = int(samples.max())
    if stated:
        return stated if largest < 2**stated else 16
    return next(bits for bits in _DEPTHS if largest < 2**bits)


def stated_bits(image: Image.Image, data: bytes) -> int | None:
    """Returns the number of bits per sample that a file states; None if it states nothing.

    Args:
        image: the opened file.
        data: its content.
    """
    stated: Any = None
    if image.format == "PPM":
        stated = 16
    elif image.format == "PNG":
        stated = max(_significant_bits(data), default=None)
    elif image.format == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        limit = tags.get(_MAX_SAMPLE_VALUE, 0)
        limit = max(limit) if isinstance(limit, Sequence) else limit
        widths = tags.get(_BITS_PER_SAMPLE, (16,))
        # Without a limit, 16 bits are only the size of the container.
        stated = int(limit).bit_length() or (max(widths) if max(widths) < 16 else None)
    return stated if stated and 1 <= stated <= 16 else None


def _significant_bits(data: bytes) -> bytes:
    """Returns the content of the chunk sBIT of a PNG file: one number for each channel."""
    place = _PNG_SIGNATURE_BYTES
    while place + _PNG_CHUNK_BYTES <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"sBIT":
            return data[place + 8 : place + 8 + length]
        if kind == b"IDAT":
            break
        place += _PNG_CHUNK_BYTES + length
    return b""


def from_samples(samples: np.ndarray, stated: int | None = None) -> Image.Image:
    """Returns an image of 8 bits per channel.

    Args:
        samples: integers from 0 to 65535, [H, W] or [H, W, C].
        stated: see `real_bits`.
    """
    bits = real_bits(samples, stated)
    largest = 2**bits - 1
    table = np.rint(np.arange(largest + 1) * (255 / largest)).astype(np.uint8)
    image = Image.fromarray(table[samples])
    image.info[REAL_BITS] = bits
    return image


def lower_bytes(image: Image.Image, data: bytes) -> Image.Image | None:
    """Returns the lower bytes of a colour image with 16 bits per channel; None for other images.

    Pillow decodes only the upper bytes. If it is told the other byte order, it decodes the lower
    ones.

    Args:
        image: the opened file, not decoded yet.
        data: its content.
    """
    if not is_deep(image) or {_raw_mode(tile) for tile in image.tile} - _OTHER_ORDER.keys():
        return None
    lower: Any = Image.open(io.BytesIO(data))
    lower.tile = [_in_other_order(tile) for tile in lower.tile]
    return lower


def is_deep(image: Image.Image) -> TypeGuard[ImageFile.ImageFile]:
    """Whether an image is a file of 16 bits per channel that has not been decoded yet."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    return bool(tiles) and all(";16" in _raw_mode(tile) for tile in tiles)


def _raw_mode(tile: Any) -> str:
    arguments = tile[3]
    found = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return found if isinstance(found, str) else ""


def _in_other_order(tile: Any) -> Any:
    mode, arguments = _OTHER_ORDER[_raw_mode(tile)], tile[3]
    return tile._replace(args=(mode, *arguments[1:]) if isinstance(arguments, tuple) else mode)
