"""Images with 16 bits per sample are scaled by their real range."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data_prep import DataError, load_picture
from data_prep.images import REAL_BITS, decode
from support.archives import encode_png
from support.jpegs import encode

WIDTH, HEIGHT = 6, 5


def samples(bits, channels=None, smallest=0):
    """Random samples of the full range, [5, 6] or [5, 6, C]."""
    shape = (HEIGHT, WIDTH) if channels is None else (HEIGHT, WIDTH, channels)
    found = np.random.default_rng(bits).integers(smallest, 2**bits, shape)
    found.flat[0] = 2**bits - 1
    return found


def scaled(found, bits):
    return np.rint(found.astype(float) * 255 / (2**bits - 1)).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(pixels, significant_bits=None):
    """A PNG file with 16 bits per sample, and its chunk sBIT."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    height, width = pixels.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    stated = chunk(b"sBIT", bytes([significant_bits] * channels)) if significant_bits else b""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    data = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + stated + data


def load(data, channels, tmp_path):
    (tmp_path / "image").write_bytes(data)
    found = load_picture(tmp_path / "image", (HEIGHT, WIDTH, channels))
    return found[..., 0] if channels == 1 else found


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_file_of_16_bits_is_scaled_by_its_real_range(bits, tmp_path):
    grey, colour = samples(bits), samples(bits, 3)
    expected = scaled(grey, bits)
    np.testing.assert_array_equal(load(deep_png(grey), 1, tmp_path), expected)
    np.testing.assert_array_equal(load(deep_png(colour), 3, tmp_path), scaled(colour, bits))
    tiff = encode(Image.fromarray(grey.astype(np.uint16)), "TIFF")
    np.testing.assert_array_equal(load(tiff, 1, tmp_path), expected)
    assert decode(tiff, "it").info[REAL_BITS] == bits


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_what_a_png_file_states_is_believed(bits, tmp_path):
    dark = samples(8)  # without the chunk, these would be 8 bits
    np.testing.assert_array_equal(load(deep_png(dark, bits), 1, tmp_path), scaled(dark, bits))
    colour = samples(bits, 3)
    np.testing.assert_array_equal(load(deep_png(colour, bits), 3, tmp_path), scaled(colour, bits))


def test_samples_of_12_bits_that_were_scaled_to_16_are_not_scaled_again(tmp_path):
    scaled_up = samples(12) * 16
    found = load(deep_png(scaled_up, 12), 1, tmp_path)
    np.testing.assert_array_equal(found, scaled(scaled_up, 16))


@pytest.mark.parametrize("tags", [{281: 4095}, {281: 16383}])
def test_what_a_tiff_file_states_is_believed(tags, tmp_path):
    dark = samples(8)
    tiff = encode(Image.fromarray(dark.astype(np.uint16)), "TIFF", tiffinfo=tags)
    bits = tags[281].bit_length()
    np.testing.assert_array_equal(load(tiff, 1, tmp_path), scaled(dark, bits))


def test_the_range_of_a_pgm_file_is_in_its_header(tmp_path):
    dark = samples(8)
    data = b"P5\n6 5\n4095\n" + dark.astype(">u2").tobytes()
    difference = load(data, 1, tmp_path).astype(int) - scaled(dark, 12)
    assert np.abs(difference).max() <= 1  # Pillow rounds, too


def test_opacity_of_16_bits_is_used(tmp_path):
    pixels = np.full((HEIGHT, WIDTH, 4), 4095)
    pixels[..., :3] = 0
    pixels[0, 0, 3] = 0
    found = load(deep_png(pixels), 3, tmp_path)
    assert found[0, 0].tolist() == [255] * 3 and found[1:].max() == 0


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_an_array_of_16_bits_and_a_pillow_image_are_scaled_like_a_file(bits):
    grey, colour = samples(bits).astype(np.uint16), samples(bits, 3).astype(np.uint16)
    for picture in (grey, grey[..., None], Image.fromarray(grey)):
        found = load_picture(picture, (HEIGHT, WIDTH, 1))[..., 0]
        np.testing.assert_array_equal(found, scaled(grey, bits))
    np.testing.assert_array_equal(load_picture(colour, (HEIGHT, WIDTH, 3)), scaled(colour, bits))


def test_a_pillow_image_that_was_opened_has_the_pixels_of_its_file(tmp_path):
    for name, data in (
        ("colour", deep_png(samples(12, 3))),
        ("stated", deep_png(samples(8), 14)),
        ("plain", encode_png(Image.fromarray(samples(8, 3).astype(np.uint8)))),
    ):
        (tmp_path / name).write_bytes(data)
        with Image.open(tmp_path / name) as image:
            found = load_picture(image, (5, 6, 3))
            np.testing.assert_array_equal(found, load_picture(tmp_path / name, (5, 6, 3)))
            image.load()  # the image of the user can still be used


MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]


@pytest.mark.parametrize("mode", MODES)
def test_a_pillow_image_of_any_mode_is_accepted_and_not_changed(mode):
    image = Image.new("L", (8, 8), 255)
    for step in {"La": ("LA", "La"), "RGBa": ("RGBA", "RGBa")}.get(mode, (mode,)):
        image = image.convert(step)
    before = image.mode, image.tobytes()
    found = load_picture(image, (4, 4, 3))
    assert found.shape == (4, 4, 3) and found.min() >= 250
    assert (image.mode, image.tobytes()) == before


def test_a_pillow_image_is_turned_upright_like_its_file(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(samples(8, 3).astype(np.uint8))
    (tmp_path / "a.png").write_bytes(encode(turned, "PNG", exif=exif))
    with Image.open(tmp_path / "a.png") as image:
        found = load_picture(image, (6, 5, 3))
    np.testing.assert_array_equal(found, load_picture(tmp_path / "a.png", (6, 5, 3)))
    np.testing.assert_array_equal(found, np.rot90(np.asarray(turned), -1))


def test_an_array_of_bools_is_black_and_white():
    on = samples(8) > 100
    np.testing.assert_array_equal(load_picture(on, (5, 6, 1))[..., 0], np.where(on, 255, 0))


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (Image.new("F", (4, 4), 0.5), "floating-point"),
        (Image.new("I", (4, 4), 70_000), "32-bit"),
        (Image.new("I", (4, 4), -1), "32-bit"),
        (Image.new("L", (0, 4)), "Received: 0x4"),
        (Image.open(io.BytesIO(encode_png(Image.new("L", (99, 99)))[:-30])), "cannot be read"),
        (np.zeros((4, 4, 3)), r"np.rint\(255 \* x\).astype\(np.uint8\) if white is 1"),
        (np.zeros((4, 4, 3), np.int64), "Received: int64"),
    ],
)
def test_a_picture_without_black_and_white_raises_an_error(picture, says):
    with pytest.raises(DataError, match=says):
        load_picture(picture, (4, 4, 3))
