"""Adaptation and export of models with one binary output, and with an output for each pixel."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, MetaLearner, TWConv2D, TWDense
from mtnet_tf.adaptation.saved_model import read_metadata


def new_learner(model, loss, step_size=0.5):
    learner = MetaLearner(model, step_size, 3)
    learner.compile("adam", loss, ["accuracy"], jit_compile=False)
    return learner


def served(learner, path, **options):
    return tf.saved_model.load(str(learner.export(path, **options))).signatures["serving_default"]


BINARY = {
    "logit": (keras.losses.BinaryCrossentropy(from_logits=True), None),
    "probability": ("binary_crossentropy", "sigmoid"),
}


@pytest.mark.parametrize("name", BINARY)
def test_one_binary_output_is_a_classifier_of_two_classes(rng, tmp_path, name):
    loss, activation = BINARY[name]
    model = keras.Sequential([keras.Input((2,)), TWDense(1, activation, mask=None)])
    learner = new_learner(model, loss)
    x = rng.normal(size=(12, 2)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    outputs = [learner.adapt(x, labels)(x).numpy()
               for labels in (y, y[:, None], y.astype(bool), y.astype("float32"))]  # fmt: skip
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], rtol=1e-5)
    positive = outputs[0] if activation else tf.sigmoid(outputs[0])
    answer = served(learner, tmp_path / "1")(
        support_x=x[None], support_y=y[None].astype("int32"), query_x=x[None]
    )["probabilities"][0]
    np.testing.assert_allclose(answer, np.concatenate([1 - positive, positive], 1), atol=1e-5)
    assert read_metadata(tmp_path / "1")["num_ways"] == 2
    for wrong in ([2] * 12, [-1] * 12):
        with pytest.raises(ValueError, match="`support_y`"):
            learner.adapt(x, wrong)


def test_a_hinge_output_is_exported_as_a_score(rng, tmp_path):
    model = keras.Sequential([keras.Input((2,)), TWDense(1, mask=None)])
    learner = new_learner(model, "hinge")
    x = rng.normal(size=(12, 2)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    adapted = learner.adapt(x, y)
    np.testing.assert_allclose(adapted(x), learner.adapt(x, 2 * y - 1)(x), rtol=1e-5)
    answer = served(learner, tmp_path / "1")(support_x=x[None], support_y=y[None], query_x=x[None])
    np.testing.assert_allclose(answer["predictions"][0], adapted(x), rtol=1e-5)


def dense_model(filters, activation=None):
    return keras.Sequential([keras.Input((4, 4, 1)), TWConv2D(filters, 3, 1, "same", mask=None,
                                                              activation=activation)])  # fmt: skip


SEGMENTATION = {
    "mean": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "few-shot": FewShotCrossentropy(1),
}


@pytest.mark.long
@pytest.mark.parametrize("name", SEGMENTATION)
def test_segmentation_learns_a_class_for_each_pixel(rng, tmp_path, name):
    learner = new_learner(dense_model(3), SEGMENTATION[name], {"mean": 5.0, "few-shot": 0.06}[name])
    x = rng.normal(size=(5, 4, 4, 1)).astype("float32")
    y = np.digitize(x[..., 0], [-0.5, 0.5])  # [5, 4, 4]
    before = np.mean(np.argmax(learner.model(x), -1) == y)
    adapted = learner.adapt(x, y, num_inner_steps=8)
    assert np.mean(np.argmax(adapted(x), -1) == y) > max(0.6, before)
    np.testing.assert_allclose(
        learner.adapt(x, y[..., None], num_inner_steps=8)(x), adapted(x), rtol=1e-5
    )
    function = served(learner, tmp_path / "1", num_inner_steps=8)
    answer = function(support_x=x[None], support_y=y[None].astype("int32"), query_x=x[None])
    np.testing.assert_allclose(
        answer["probabilities"][0], tf.nn.softmax(adapted(x)), rtol=1e-4, atol=1e-6
    )
    episodes = ((x[None], y[None]), (x[None], y[None]))
    names = learner.evaluate(episodes, batch_size=1, verbose=0, return_dict=True)
    assert 0 <= names["accuracy"] <= 1
    with pytest.raises(ValueError, match="`support_y` must"):
        learner.adapt(x, y + 1)


def test_an_autoencoder_adapts_to_targets_like_its_inputs(rng, tmp_path):
    learner = new_learner(dense_model(1), "mean_squared_error")
    x = rng.integers(0, 2, (5, 4, 4, 1))
    as_integers, as_floats = (learner.adapt(x, y) for y in (x, x.astype("float32")))
    np.testing.assert_allclose(as_integers(x), as_floats(x), rtol=1e-6)
    images = x[None].astype("float32")
    answer = served(learner, tmp_path / "1")(support_x=images, support_y=images, query_x=images)
    np.testing.assert_allclose(answer["predictions"][0], as_floats(x), rtol=1e-4, atol=1e-5)


def test_integer_targets_of_a_regression_are_not_class_numbers(rng):
    learner = new_learner(keras.Sequential([keras.Input((1,)), TWDense(1, mask=None)]), "mse", 0.01)
    x = rng.normal(size=(5, 1))
    y = np.array([-7, 3, 100, 5, 2])
    found = learner.adapt(x, y)(x)
    np.testing.assert_allclose(found, learner.adapt(x, y[:, None].astype("float32"))(x), rtol=1e-5)
