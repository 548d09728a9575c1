"""Labels that a loss cannot be computed from, or that give a wrong number, are rejected."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy
from mtnet_tf.meta import check_labels

losses = keras.losses
SPARSE = losses.SparseCategoricalCrossentropy(from_logits=True)


class IgnoresNegatives(losses.SparseCategoricalCrossentropy):
    """A user's loss for which -1 is a valid label."""

    def call(self, y_true, y_pred):
        return super().call(tf.maximum(y_true, 0), y_pred) * tf.cast(y_true >= 0, y_pred.dtype)


def wrapped(labels, outputs):
    return losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)


def without_missing(labels, outputs):
    difference = tf.where(tf.math.is_nan(labels), 0.0, labels - outputs)
    return tf.reduce_mean(tf.square(difference), -1)


@pytest.mark.parametrize(
    ("loss", "labels", "outputs"),
    [
        (SPARSE, [0, 1, 2], 3),
        (SPARSE, [[0], [2]], 3),
        (SPARSE, [0.0, 2.0], 3),
        (SPARSE, [True, False], 3),
        (losses.SparseCategoricalCrossentropy(ignore_class=-1), [-1, 0, 2], 3),
        (losses.SparseCategoricalCrossentropy(ignore_class=255), [255, 0, 2], 3),
        (
            functools.partial(losses.sparse_categorical_crossentropy, ignore_class=-1),
            [-1, 0, 2],
            3,
        ),
        (FewShotCrossentropy(1), np.array([0, 2], "uint8"), 3),
        (FewShotCrossentropy(1, one_hot=True), np.eye(3), 3),
        (losses.get("categorical_crossentropy"), [[0.5, 0.5, 0.0]], 3),
        (losses.get("binary_crossentropy"), [0, 1, 1], 1),
        (losses.BinaryCrossentropy(), [[0.5, 0.0, 1.0]], 3),
        (losses.Hinge(), [[-1], [1]], 1),
        (losses.get("squared_hinge"), [0, 1], 1),
        (losses.get("mse"), [[-7.0], [300.0]], 1),
        (losses.get("mse"), [3, 8], 1),
        (wrapped, [0, 2], 3),
        (IgnoresNegatives(from_logits=True), [-1, 0, 2], 3),
        (without_missing, [[np.nan], [1.0]], 1),
        (lambda y, p: tf.square(tf.cast(y, tf.float32) - p[:, 0]), [7, 8], 3),
    ],
)
def test_valid_labels_are_accepted(loss, labels, outputs):
    check_labels(loss, np.array([labels]), (None, outputs), "support_y")


@pytest.mark.parametrize(
    ("loss", "labels", "outputs", "message"),
    [
        (SPARSE, [1, 2, 3], 3, "from 0 to 2, .* 3 outputs. Received: 1, 2, 3. Subtract 1"),
        (SPARSE, [-1, 0, 1], 3, r"Received: -1, 0, 1. .*np.unique.*ignore_class"),
        (SPARSE, [0, 255, 1], 3, "Received: 0, 1, 255. .*np.unique.*ignore_class"),
        (SPARSE, [0.0, 1.5], 3, "Received: 0.0, 1.5"),
        (SPARSE, [0.0, np.nan], 3, "be finite. Received: 1 of 2"),
        (SPARSE, list(range(20)), 3, "Received: 0, 1, 2, ..., 17, 18, 19"),
        (SPARSE, np.eye(3), 3, r"class numbers.*shape \[3\].*one-hot.*argmax"),
        (SPARSE, [[0, 1], [1, 0]], 3, r"class numbers of shape \[\].*shape \[2\]"),
        (SPARSE, ["a", "b"], 3, "be numbers.*np.unique"),
        (losses.SparseCategoricalCrossentropy(ignore_class=-1), [-2, -1, 0], 3, "Received: -2, 0"),
        (losses.get("sparse_categorical_crossentropy"), [1, 2, 3], 3, "Subtract 1"),
        (FewShotCrossentropy(1), [1, 2, 3], 3, "Subtract 1"),
        (FewShotCrossentropy(1), np.eye(3), 3, "one_hot=True"),
        (FewShotCrossentropy(1, one_hot=True), [0, 1], 3, "be one-hot.*one_hot"),
        (losses.CategoricalCrossentropy(), [0, 1], 3, "be one-hot.*SparseCategorical"),
        (losses.CategoricalHinge(), [0, 1], 3, "be one-hot"),
        (losses.BinaryCrossentropy(), [1, 2], 1, "be 0 and 1.*Received: 1, 2"),
        (losses.BinaryCrossentropy(), [[0, 255]], 2, "be 0 and 1.*Received: 0, 255"),
        (losses.BinaryCrossentropy(), [-1, 1], 1, "be 0 and 1.*Received: -1, 1"),
        (losses.Hinge(), [1, 2], 1, "be -1 and 1, or 0 and 1"),
        (losses.get("mse"), [[np.inf], [1.0]], 1, "be finite"),
        (wrapped, [1, 2, 3], 3, "Subtract 1"),
        (lambda y, p: tf.square(y - p), [[np.nan], [1.0]], 1, "be finite"),
    ],
)
def test_invalid_labels_are_rejected_with_advice(loss, labels, outputs, message):
    for batch, num_batch_axes in ((np.array([labels]), 2), (np.array(labels), 1)):
        with pytest.raises(ValueError, match=f"`support_y` must .*{message}"):
            check_labels(loss, batch, (None, outputs), "support_y", num_batch_axes)


def test_each_pixel_of_a_segmentation_is_checked():
    shape = (None, 4, 4, 3)
    for labels in (np.full([1, 2, 4, 4], 2), np.full([1, 2, 4, 4, 1], 2)):
        check_labels(SPARSE, labels, shape, "support_y")
        with pytest.raises(ValueError, match="from 0 to 2.*Received: 3"):
            check_labels(SPARSE, labels + 1, shape, "support_y")


def test_classes_on_another_axis_than_the_last_are_not_checked():
    loss = losses.CategoricalCrossentropy(axis=1)
    check_labels(loss, np.zeros([1, 2, 3, 4, 4]), (None, 3, 4, 4), "support_y")
