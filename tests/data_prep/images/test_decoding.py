import numpy as np
import pytest
from PIL import Image

from data_prep import DataError, load_picture
from data_prep.images.drawings import ink, resize
from support.archives import encode_png, scribble
from support.fault_images import announced
from support.jpegs import encode

COLOUR = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
PHOTO = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 40, 3), np.uint8))


def write(tmp_path, data):
    (tmp_path / "image").write_bytes(data)
    return tmp_path / "image"


def test_an_image_of_the_right_size_keeps_its_pixels(tmp_path):
    path = write(tmp_path, encode(Image.fromarray(COLOUR), "PNG"))
    np.testing.assert_array_equal(load_picture(path, (9, 7, 3)), COLOUR)
    np.testing.assert_array_equal(load_picture(str(path), (9, 7, 3), invert=True), 255 - COLOUR)


def test_another_size_is_stretched_with_lanczos(tmp_path):
    expected = np.asarray(PHOTO.resize((84, 42), Image.Resampling.LANCZOS))
    found = load_picture(write(tmp_path, encode(PHOTO, "PNG")), (42, 84, 3))
    np.testing.assert_array_equal(found, expected)


def test_pixels_in_an_array_give_the_same_as_a_file(tmp_path):
    grey = COLOUR[..., 0]
    for pixels in (grey, grey[..., None]):
        np.testing.assert_array_equal(load_picture(pixels, (9, 7, 1))[..., 0], grey)
    opaque = np.dstack([COLOUR, np.full((9, 7), 255, np.uint8)])
    np.testing.assert_array_equal(load_picture(opaque, (9, 7, 3)), COLOUR)


def test_grey_becomes_three_equal_channels_and_colour_becomes_grey():
    wide = load_picture(COLOUR[..., 0], (9, 7, 3))
    assert (wide == wide[..., :1]).all()
    expected = np.asarray(Image.fromarray(COLOUR).convert("L"))
    np.testing.assert_array_equal(load_picture(COLOUR, (9, 7, 1))[..., 0], expected)


RED = Image.new("RGB", (8, 8), (255, 0, 0))
MODES = {
    "CMYK": (encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "palette": (encode(RED.quantize(4), "PNG"), (255, 0, 0)),
    "transparent palette": (encode(RED.quantize(4), "PNG", transparency=0), (255, 255, 255)),
    "transparent": (encode(Image.new("RGBA", (8, 8), (0, 0, 255, 0)), "PNG"), (255, 255, 255)),
    "half transparent": (encode(Image.new("LA", (8, 8), (0, 128)), "PNG"), (127, 127, 127)),
    "1 bit": (encode(Image.new("1", (8, 8), 1), "PNG"), (255, 255, 255)),
    "16 bit": (encode(Image.fromarray(np.full((8, 8), 32768, np.uint16)), "PNG"), (128,) * 3),
    "16 bit TIFF": (encode(Image.fromarray(np.full((8, 8), 65535, np.uint16)), "TIFF"), (255,) * 3),
    "animated": (
        encode(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
        (255, 0, 0),
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_8_bit_rgb(mode, tmp_path):
    data, expected = MODES[mode]
    found = load_picture(write(tmp_path, data), (4, 4, 3))
    assert np.unique(found.reshape(-1, 3), axis=0).tolist() == [list(expected)]


def test_the_exif_orientation_is_applied(tmp_path):
    turned = Image.new("L", (8, 8), 0)
    turned.paste(255, (0, 0, 8, 4))  # light above, to be turned by a quarter clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    found = load_picture(write(tmp_path, encode(turned, "PNG", exif=exif)), (8, 8, 1))
    assert found[:, 4:].min() == 255
    assert found[:, :4].max() == 0


def test_an_image_with_broken_metadata_is_read(tmp_path):
    data = encode(RED, "JPEG", exif=b"Exif\0\0rubbish, not a TIFF header")
    assert load_picture(write(tmp_path, data), (8, 8, 3)).shape == (8, 8, 3)


def test_an_omniglot_drawing_becomes_the_pixels_of_the_prepared_data(tmp_path):
    drawing = scribble(3)
    expected = ink(resize(drawing, 28, "nearest"))
    for mode in ("1", "L", "RGB"):
        path = write(tmp_path, encode_png(drawing.convert(mode)))
        found = load_picture(path, (28, 28, 1), invert=True, resampling="nearest")
        np.testing.assert_array_equal(found, expected)
    grey = load_picture(path, (28, 28, 1), invert=True, resampling="lanczos")
    np.testing.assert_array_equal(grey, ink(resize(drawing, 28, "lanczos")))


def test_a_thin_stroke_of_a_large_scan_is_kept():
    scan = np.full((1000, 1000), 240, np.uint8)
    scan[:, 500:508] = 30
    found = load_picture(scan, (28, 28, 1), invert=True, resampling="nearest")
    assert np.unique(found).tolist() == [0, 255]
    assert (found.max(axis=(1, 2)) == 255).all()


BAD = {
    "empty": (b"", "is empty"),
    "no image": (b"hello", "is not a complete image"),
    "cut off JPEG": (encode(PHOTO, "JPEG")[:-200], "is not a complete image"),
    "cut off PNG": (encode(PHOTO, "PNG")[:-200], "is not a complete image"),
    "cut off GIF": (encode(PHOTO, "GIF")[:300], "is not a complete image"),
    "bomb": (announced(60_000, 60_000), "at most 89478485 pixels"),
    "small bomb": (announced(10_000, 10_000), "at most 89478485 pixels. Received: 10000x10000"),
    "floating point": (encode(Image.new("F", (4, 4)), "TIFF"), "floating-point"),
    "32 bit": (encode(Image.new("I", (4, 4), 70_000), "TIFF"), "32-bit"),
    "EPS, which runs a program": (encode(RED, "EPS"), "is not a complete image"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_raises_an_error_of_one_line(kind, tmp_path):
    data, says = BAD[kind]
    path = write(tmp_path, data)
    with pytest.raises(DataError, match=says) as caught:
        load_picture(path, (4, 4, 3))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere.png", (4, 4, 3)), "Cannot read the image `nowhere.png`"),
        ((".", (4, 4, 3)), "Cannot read the image `.`"),
        ((COLOUR, (4, 4, 2)), "`image_shape` must be"),
        ((COLOUR, (4, 4)), "`image_shape` must be"),
        ((COLOUR / 255, (4, 4, 3)), "Received: float64"),
        ((COLOUR[..., :2], (4, 4, 3)), r"Received: uint8 \[9, 7, 2\]"),
        ((COLOUR[:0], (4, 4, 3)), r"Received: uint8 \[0, 7, 3\]"),
    ],
)
def test_impossible_arguments_are_rejected(arguments, says):
    with pytest.raises(DataError, match=says):
        load_picture(*arguments)
