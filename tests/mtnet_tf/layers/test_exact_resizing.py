"""Exact resizing and upsampling give the outputs of the stock layers, for all of their options."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import ExactResizing, ExactUpSampling2D
from mtnet_tf.layers.exact_resizing import resize

KINDS = ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area"]
ASPECTS = [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 0.5}]
FORMATS = ["channels_last", "channels_first"]


@pytest.mark.parametrize(("kind", "aspect"), list(itertools.product(KINDS, ASPECTS)))
def test_resizing_gives_the_outputs_of_keras(kind, aspect, rng):
    shapes = [(2, 7, 5, 3), (6, 9, 2)]
    for shape, size, data_format in itertools.product(shapes, [(8, 3), (3, 11)], FORMATS):
        options = {"interpolation": kind, "data_format": data_format, **aspect}
        x = rng.normal(size=shape).astype("float32")
        expected = keras.layers.Resizing(*size, **options)(x)
        found = ExactResizing(*size, **options)(x)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic", "lanczos3"])
def test_antialiasing_gives_the_outputs_of_keras(kind, rng):
    x = rng.normal(size=(2, 17, 13, 2)).astype("float32")
    options = {"interpolation": kind, "antialias": True}
    expected = keras.layers.Resizing(5, 4, **options)(x)
    np.testing.assert_allclose(ExactResizing(5, 4, **options)(x), expected, atol=2e-6)


@pytest.mark.parametrize(("kind", "data_format"), list(itertools.product(KINDS[:-1], FORMATS)))
def test_upsampling_gives_the_outputs_of_keras(kind, data_format, rng):
    x = rng.normal(size=(2, 5, 4, 3)).astype("float32")
    options = {"interpolation": kind, "data_format": data_format}
    for size in (2, (1, 3)):
        expected = keras.layers.UpSampling2D(size, **options)(x)
        np.testing.assert_allclose(ExactUpSampling2D(size, **options)(x), expected, atol=2e-6)


def test_bilinear_weights_are_those_of_linear_interpolation():
    image = tf.constant([[[0.0], [1.0]]], tf.float64)
    np.testing.assert_allclose(resize(image, (1, 4))[0, :, 0], [0, 0.25, 0.75, 1])


@pytest.mark.parametrize("kind", ["bilinear", "nearest", "area"])
def test_integers_are_rounded_as_by_keras(kind, rng):
    x = rng.integers(0, 255, size=(2, 7, 5, 3)).astype("uint8")
    options = {"interpolation": kind, "dtype": "uint8"}
    found, expected = ExactResizing(4, 9, **options)(x), keras.layers.Resizing(4, 9, **options)(x)
    assert found.dtype == expected.dtype == "uint8"
    np.testing.assert_array_equal(found, expected)


def test_half_precision_is_summed_in_single_precision(rng):
    x = rng.normal(size=(2, 40, 40, 1)).astype("float16")
    found = ExactResizing(3, 3, interpolation="area", dtype="float16")(x)
    expected = keras.layers.Resizing(3, 3, interpolation="area")(x.astype("float32"))
    assert found.dtype == "float16"
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("aspect", ASPECTS)
def test_images_of_unknown_size_are_resized(jit, aspect, rng):
    x = rng.normal(size=(2, 9, 6, 2)).astype("float32")
    ours = ExactResizing(4, 5, **aspect)
    signature = [tf.TensorSpec([None, None, None, 2])]
    function = tf.function(ours, input_signature=signature, jit_compile=jit)
    expected = keras.layers.Resizing(4, 5, **aspect)(x)
    np.testing.assert_allclose(function(x), expected, atol=2e-6)


def test_interpolations_that_xla_lacks_compile_for_known_sizes(rng):
    x = rng.normal(size=(2, 5, 4, 3)).astype("float32")
    up = ExactUpSampling2D(2, interpolation="lanczos5")
    np.testing.assert_allclose(tf.function(up, jit_compile=True)(x), up(x), atol=2e-6)


def test_segmentation_masks_are_resized_as_by_keras(rng):
    data = {
        "images": rng.normal(size=(2, 5, 4, 3)).astype("float32"),
        "segmentation_masks": rng.integers(0, 3, size=(2, 5, 4, 1)),
    }
    found, expected = ExactResizing(3, 3)(data), keras.layers.Resizing(3, 3)(data)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=2e-6)
