"""`to_mtnet` makes resizing exact, and `fold` undoes it."""

import keras
import numpy as np
import pytest

from mtnet_tf import ExactResizing, ExactUpSampling2D, MetaLearner, audit, fold, to_mtnet

K = keras.layers


def model_of(*stack, shape=(6, 5, 3)):
    head = [K.GlobalAveragePooling2D(), K.Dense(2, name="head")]
    return keras.Sequential([keras.Input(shape), K.Conv2D(3, 1, activation="tanh"), *stack, *head])


@pytest.mark.parametrize(
    ("stock", "exact"),
    [
        (lambda: K.Resizing(4, 7, "bicubic", crop_to_aspect_ratio=True), ExactResizing),
        (lambda: K.Resizing(8, 3, data_format="channels_first"), ExactResizing),
        (lambda: K.UpSampling2D((2, 1), interpolation="bilinear", name="up"), ExactUpSampling2D),
        (lambda: K.UpSampling2D(2), ExactUpSampling2D),
    ],
)
def test_resizing_is_replaced_and_folded_back(stock, exact, rng):
    model, x = model_of(stock()), rng.normal(size=(2, 6, 5, 3)).astype("float32")
    converted = to_mtnet(model)
    assert type(converted.layers[1]) is exact and converted.layers[1].name == model.layers[1].name
    np.testing.assert_allclose(converted(x), model(x), atol=1e-5)
    MetaLearner(converted, step_size=0.1)
    folded = fold(converted)
    assert type(folded.layers[1]) is type(model.layers[1])
    assert folded.layers[1].get_config() == model.layers[1].get_config()
    np.testing.assert_allclose(folded(x), model(x), atol=1e-5)


def test_images_of_unknown_size_are_resized_exactly(rng):
    model = model_of(K.Resizing(4, 4), shape=(None, None, 3))
    x = rng.normal(size=(2, 9, 7, 3)).astype("float32")
    np.testing.assert_allclose(to_mtnet(model)(x), model(x), atol=1e-5)


def test_the_meta_gradient_is_wrong_before_and_exact_after(rng):
    model, x = model_of(K.Resizing(9, 4)), rng.normal(size=(4, 6, 5, 3))
    data = x, np.arange(4) % 2, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert audit(model, *data).meta_gradient.verdict == "wrong"
    assert audit(to_mtnet(model), *data).exact
