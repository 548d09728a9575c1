"""Image files of unusual kinds, valid and invalid ones."""

import struct
import zlib

import numpy as np
from PIL import Image

from support.jpegs import encode, photo


def announced(width, height):
    """A PNG file of a few bytes whose header describes a huge image."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(photo(1, (120, 90)), exif=exif)


SIXTEEN_BIT = Image.fromarray(np.arange(100, dtype=np.uint16).reshape(10, 10) * 655)
# Name -> content of a file, and part of the error message; None: the image is used. The decoder
# ignores the suffix.
IMAGE_FAULTS = {
    "zero-byte image": (b"", "is empty"),
    "truncated image": (encode(photo(1))[:-200], "is not a complete image"),
    "truncated image, PNG": (encode(photo(1), "PNG")[:-200], "is not a complete image"),
    "web page in place of an image": (b"<html>404</html>", "is not a complete image"),
    "EPS, which would run a program": (encode(photo(1), "EPS"), "is not a complete image"),
    "huge image": (announced(12_000, 9_000), "must have at most 89478485 pixels"),
    "decompression bomb": (announced(60_000, 60_000), "must have at most 89478485 pixels"),
    "floating-point image": (encode(Image.new("F", (9, 9)), "TIFF"), "floating-point"),
    "32-bit image": (encode(Image.new("I", (9, 9), 70_000), "TIFF"), "32-bit"),
    "CMYK image": (encode(photo(1).convert("CMYK")), None),
    "palette image": (encode(photo(1).quantize(16), "PNG"), None),
    "transparent image": (encode(photo(1).convert("RGBA"), "PNG"), None),
    "16-bit image": (encode(SIXTEEN_BIT, "PNG"), None),
    "1-bit image": (encode(photo(1).convert("1"), "PNG"), None),
    "grey image": (encode(photo(1).convert("L")), None),
    "animated image": (
        encode(photo(1).quantize(16), "GIF", save_all=True, append_images=[photo(2)]),
        None,
    ),
    "image turned by EXIF": (turned(), None),
    "image of one pixel": (encode(photo(1, (1, 1)), "PNG"), None),
    "very wide image": (encode(photo(1, (4000, 3)), "PNG"), None),
}
