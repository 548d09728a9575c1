import io

import numpy as np
import pytest
from PIL import Image

from data_prep.errors import DataError
from data_prep.images.drawings import decode_png, ink, resize
from support.archives import encode_png, scribble


def test_pillow_reduces_1_bit_images_by_nearest_neighbour():
    image = scribble(1)
    lanczos = image.resize((28, 28), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.asarray(resize(image, 28, "nearest")), np.asarray(lanczos))


def test_nearest_takes_the_source_pixel_of_the_formula():
    image = scribble(2)
    rows = np.floor((np.arange(28) + 0.5) * 3.75).astype(int)
    expected = np.asarray(image)[np.ix_(rows, rows)]
    np.testing.assert_array_equal(np.asarray(resize(image, 28, "nearest")), expected)


def test_nearest_stays_1_bit_through_a_png_file():
    small = resize(scribble(3), 28, "nearest")
    assert Image.open(io.BytesIO(encode_png(small))).mode == "1"


def test_lanczos_is_grey():
    small = resize(scribble(4), 28, "lanczos")
    assert small.mode == "L"
    assert len(np.unique(np.asarray(small))) > 2


def test_ink_is_255_and_paper_0():
    image = Image.new("1", (28, 28), 1)
    image.putpixel((3, 5), 0)
    pixels = ink(image)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (28, 28, 1)
    assert pixels[5, 3, 0] == 255
    assert pixels.sum() == 255


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"GIF89a", "not a complete PNG"),
        (encode_png(scribble(0))[:-300], "not a complete PNG"),
        (encode_png(scribble(0, (105, 104))), "must be 105x105 pixels.*Received: 105x104"),
        (encode_png(scribble(0, mode="L")), "1-bit black and white.*mode L"),
    ],
)
def test_an_image_of_another_kind_is_rejected(data, says):
    with pytest.raises(DataError, match=says):
        decode_png(data, "`x.png`", (105, 105), "1")
