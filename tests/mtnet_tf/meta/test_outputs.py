"""What outputs mean: logits, probabilities, scores or predictions; one output or several."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy
from mtnet_tf.meta import class_numbers, output_kind, predicted_classes, probabilities

losses = keras.losses
ONE, THREE, IMAGE = (None, 1), (None, 3), (None, 4, 4, 1)
LOGITS = losses.BinaryCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("loss", "kind", "numbers_of_one", "numbers_of_three"),
    [
        (FewShotCrossentropy(1), "logits", True, True),
        (FewShotCrossentropy(1, one_hot=True), "logits", False, False),
        (losses.get("sparse_categorical_crossentropy"), "probabilities", True, True),
        (losses.CategoricalFocalCrossentropy(from_logits=True), "logits", False, False),
        (losses.BinaryCrossentropy(), "probabilities", True, False),
        (LOGITS, "logits", True, False),
        (losses.get("binary_crossentropy"), "probabilities", True, False),
        (functools.partial(losses.binary_crossentropy, from_logits=True), "logits", True, False),
        (losses.BinaryFocalCrossentropy(from_logits=True), "logits", True, False),
        (losses.get("binary_focal_crossentropy"), "probabilities", True, False),
        (losses.get("hinge"), "scores", True, False),
        (losses.SquaredHinge(), "scores", True, False),
        (losses.CategoricalHinge(), "scores", False, False),
        (losses.get("mse"), "predictions", False, False),
        (lambda y, p: y, "predictions", False, False),
    ],
)
def test_the_loss_defines_the_kind_of_outputs(loss, kind, numbers_of_one, numbers_of_three):
    assert output_kind(loss, ONE) == (kind, numbers_of_one)
    assert output_kind(loss, THREE) == output_kind(loss) == (kind, numbers_of_three)


@pytest.mark.parametrize("axes", [1, 2])
def test_one_output_is_the_logit_or_the_probability_of_class_1(axes):
    outputs = tf.reshape([0.0, np.log(3.0), -np.log(3.0)], [1] * (axes - 1) + [3, 1])
    expected = np.reshape([[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]], [*outputs.shape[:-1], 2])
    found = probabilities(LOGITS, outputs, axes)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = probabilities(losses.get("binary_crossentropy"), tf.sigmoid(outputs), axes)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = probabilities(lambda y, p: y, outputs, axes)  # a user's loss of one logit
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_several_labels_per_example_have_independent_probabilities():
    outputs = tf.constant([[0.0, 100.0, -100.0]])
    np.testing.assert_allclose(probabilities(LOGITS, outputs), [[0.5, 1.0, 0.0]], atol=1e-6)
    given = tf.constant([[0.9, 0.8, 0.1]])
    np.testing.assert_array_equal(probabilities(losses.BinaryCrossentropy(), given), given)


def test_each_pixel_of_a_reconstruction_has_its_own_probability():
    outputs = tf.zeros([2, 4, 4, 1])
    assert output_kind(LOGITS, IMAGE) == ("logits", False)
    np.testing.assert_array_equal(probabilities(LOGITS, outputs), np.full([2, 4, 4, 1], 0.5))
    found = probabilities(LOGITS, tf.zeros([1, 2, 4, 4, 1]), 2)
    np.testing.assert_array_equal(found, np.full([1, 2, 4, 4, 1], 0.5))


def test_each_pixel_of_a_segmentation_has_a_softmax():
    outputs = tf.math.log(tf.constant([[[[1.0, 3.0]]]]))  # one image of one pixel
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(probabilities(loss, outputs), [[[[0.25, 0.75]]]], rtol=1e-6)
    assert predicted_classes(loss, outputs).numpy().tolist() == [[[1]]]
    assert class_numbers(loss, tf.ones([1, 1, 1, 1]), outputs.shape).numpy().tolist() == [[[1]]]


def test_scores_are_not_probabilities():
    for loss in (losses.Hinge(), losses.get("categorical_hinge")):
        with pytest.raises(ValueError, match="hinge loss, whose outputs are scores"):
            probabilities(loss, tf.zeros([2, 2]))


@pytest.mark.parametrize(
    ("loss", "outputs", "expected"),
    [
        (losses.Hinge(), [[-0.1], [0.1]], [0, 1]),
        (LOGITS, [[-0.1], [0.1]], [0, 1]),
        (losses.BinaryCrossentropy(), [[0.4], [0.6]], [0, 1]),
        (losses.CategoricalHinge(), [[0.4, -1.0], [0.6, 0.7]], [0, 1]),
    ],
)
def test_the_predicted_class_is_the_likelier_one(loss, outputs, expected):
    assert predicted_classes(loss, tf.constant(outputs)).numpy().tolist() == expected
    assert predicted_classes(loss, tf.constant([outputs]), 2).numpy().tolist() == [expected]


@pytest.mark.parametrize(
    ("loss", "labels", "shape", "expected"),
    [
        (FewShotCrossentropy(1), [0.0, 2.0], THREE, [0, 2]),
        (FewShotCrossentropy(1), [[0], [2]], THREE, [0, 2]),
        (FewShotCrossentropy(1, one_hot=True), [[1, 0, 0], [0, 0, 1]], THREE, [0, 2]),
        (losses.CategoricalCrossentropy(), [[1.0, 0, 0], [0, 0, 1]], THREE, [0, 2]),
        (losses.Hinge(), [-1, 1], ONE, [0, 1]),
        (losses.Hinge(), [[0.0], [1.0]], ONE, [0, 1]),
        (LOGITS, [[0], [1]], ONE, [0, 1]),
        (LOGITS, [False, True], ONE, [0, 1]),
        (losses.CategoricalCrossentropy(), [[True, False], [False, True]], (None, 2), [0, 1]),
        (LOGITS, [[1, 0, 1], [0, 0, 1]], THREE, None),
        (lambda y, p: y, [0, 2], THREE, [0, 2]),
        (lambda y, p: y, [0.0, 2.0], THREE, None),
        (losses.get("mse"), [3, 4], ONE, None),
        (losses.get("mse"), [[3, 4, 5]], THREE, None),
    ],
)
def test_class_numbers_follow_from_the_labels(loss, labels, shape, expected):
    found = class_numbers(loss, tf.constant(labels), shape)
    assert (found if found is None else found.numpy().tolist()) == expected
