"""One image or several, in every form that users have them in."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mtnet_tf.pictures.one_or_several import list_pictures

PHOTO = Image.new("RGB", (5, 4))


class OtherTensor:
    """Like a tensor of another library; `device` is where NumPy can read it."""

    def __init__(self, array, device="cpu"):
        self.array, self.device = array, device

    def __array__(self, dtype=None, copy=None):
        if self.device != "cpu":
            raise TypeError(f"can't convert {self.device} device type tensor to numpy")
        return np.asarray(self.array, dtype)

    def __iter__(self):
        return iter(self.array)


class Column:
    """Like a column of a table of pandas."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        found = np.empty(len(self.values), object)
        found[:] = self.values
        return found


def zeros(*shape):
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        "a.png", Path("a.png"), np.str_("a.png"), np.array("a.png"), PHOTO,
        zeros(28, 28), zeros(28, 28, 1), zeros(28, 28, 3), zeros(20, 30, 4), zeros(4, 4, 3),
        tf.zeros([28, 28, 3], tf.uint8), OtherTensor(zeros(28, 28)),
    ],
)  # fmt: skip
def test_one_image_is_a_list_of_one(picture):
    for num_channels in (1, 3, None):
        assert len(list_pictures(picture, num_channels)) == 1


@pytest.mark.parametrize(
    ("pictures", "number"),
    [
        (["a.png", Path("b.png")], 2),
        (("a.png",), 1),
        ({"a.png", "b.png"}, 2),
        ((name for name in "abc"), 3),
        (np.array(["a.png", "b.png"]), 2),
        (Column(["a.png", zeros(28, 28), PHOTO]), 3),
        ([PHOTO, zeros(28, 28), "a.png", tf.zeros([3, 4], tf.uint8), OtherTensor(zeros(2, 2))], 5),
        (zeros(5, 28, 28, 3), 5),
        (zeros(1, 28, 28, 1), 1),
        (zeros(3, 28, 28), 3),
        (zeros(10, 20, 30), 10),
        (tf.zeros([7, 28, 28], tf.uint8), 7),
        (OtherTensor(zeros(7, 28, 28, 1)), 7),
        (tf.data.Dataset.from_tensor_slices(zeros(4, 28, 28, 3)), 4),
    ],
)
def test_several_images_are_listed(pictures, number):
    assert len(list_pictures(pictures, 1)) == number


@pytest.mark.parametrize(
    ("array", "num_channels"),
    [
        (zeros(28, 28, 28), 1),
        (zeros(28, 28, 5), 1),  # one image with an unusual number of channels
        (zeros(28, 28, 2), 1),
        (zeros(20, 30, 2), 3),
        (zeros(10, 4, 4), 1),
        (zeros(3, 84, 84), 3),  # channels first
    ],
)
def test_an_array_that_may_be_one_or_several_raises_an_error(array, num_channels):
    shape = ", ".join(map(str, array.shape))
    expected = rf"an array \[H, W\] or .* or several .*\[{shape}\], which is ambiguous. Pass list\("
    with pytest.raises(ValueError, match=expected):
        list_pictures(array, num_channels)


def test_the_number_of_labels_decides_an_ambiguous_case():
    assert len(list_pictures(zeros(28, 28, 28), 1, num_labels=28)) == 28
    assert len(list_pictures(zeros(3, 84, 84), 3, num_labels=3)) == 3
    assert len(list_pictures(zeros(28, 28, 3), 3, num_labels=28)) == 1


@pytest.mark.parametrize(
    ("pictures", "says"),
    [
        (None, "at least one path or array. Received: None"),
        ([], "at least one path or array"),
        (zeros(0, 28, 28), "at least one path or array"),
        (np.array([]), "at least one path or array"),
        (iter([]), "at least one path or array"),
        (7, "Received: a value of type int"),
        (b"\x89PNG", "Received: a value of type bytes"),
        ({"a": zeros(4, 4)}, "Received: a value of type dict"),
        (io.BytesIO(b"x"), "Received: a value of type BytesIO"),
        ([[0, 1], [1, 0]], "a list that contains a value of type list"),
        ([b"\x89PNG"], "a list that contains a value of type bytes"),
        (["a.png", None], "a list that contains None"),
        (zeros(784), "with another number of axes"),
        (zeros(1, 2, 3, 4, 5), "with another number of axes"),
        (zeros(4, 4).astype(object), "of objects. Convert it to uint8"),
        (OtherTensor(zeros(4, 4), "cuda"), "OtherTensor, which cannot .*can't convert cuda"),
        (keras.Input((4, 4)), "KerasTensor, which cannot be converted"),
    ],
)  # fmt: skip
def test_other_values_raise_an_error(pictures, says):
    with pytest.raises(ValueError, match=f"`pictures` must be one image .*{says}"):
        list_pictures(pictures, 1)
