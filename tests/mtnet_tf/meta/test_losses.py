"""Losses of a task: labels of every dtype and shape, masks and reductions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy
from mtnet_tf.meta import FirstLogits, task_losses

LOGITS = tf.constant([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]])
NUMBERS = np.array([0, 1, 1, 0])
DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "int64", "bool", "float16", "float32"]


def expected(numbers=NUMBERS):
    """The sum of cross-entropies of two tasks of two examples each, for 2 shots."""
    log_probabilities = LOGITS - tf.reduce_logsumexp(LOGITS, -1, keepdims=True)
    values = -log_probabilities.numpy()[np.arange(4), numbers]
    return values.reshape(2, 2).sum(1) / 2


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_class_numbers_may_have_any_dtype(dtype, shape):
    loss, labels = FewShotCrossentropy(2), tf.constant(NUMBERS.reshape(shape).astype(dtype))

    def losses():
        return task_losses(loss, labels, LOGITS, 2)

    for function in (losses, tf.function(losses), tf.function(losses, jit_compile=True)):
        np.testing.assert_allclose(function(), expected(), rtol=1e-6)
    np.testing.assert_allclose(loss(labels, LOGITS), expected().sum(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "float64", "bool"])
def test_one_hot_labels_are_an_option(dtype):
    loss = FewShotCrossentropy(2, one_hot=True)
    copy = FewShotCrossentropy.from_config(loss.get_config())
    labels = tf.constant(np.eye(3)[NUMBERS].astype(dtype))
    for one in (loss, copy):
        np.testing.assert_allclose(task_losses(one, labels, LOGITS, 2), expected(), rtol=1e-6)


def test_one_hot_labels_without_the_option_are_rejected():
    with pytest.raises(ValueError, match="class numbers.*one_hot=True"):
        task_losses(FewShotCrossentropy(1), tf.eye(4, 3), LOGITS, 2)


def test_the_shots_may_be_a_numpy_number_and_are_stored_as_an_int():
    for number in (np.int64(2), np.array(2), tf.constant(2)):
        assert type(FewShotCrossentropy(number).get_config()["num_shots"]) is int
    for number in (0, 1.5, "2", True):
        with pytest.raises(ValueError, match="`num_shots` must be a positive integer"):
            FewShotCrossentropy(number)


@pytest.mark.parametrize("loss", ["sparse", "one-hot", "function", "FewShotCrossentropy"])
def test_the_first_logits_decide_for_every_kind_of_labels(loss):
    labels = np.eye(3)[NUMBERS].astype("float32")
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    wrapped, given = {
        "sparse": (sparse, NUMBERS),
        "one-hot": (keras.losses.CategoricalCrossentropy(from_logits=True), labels),
        "function": (lambda y, p: sparse.call(y, p), NUMBERS),
        "FewShotCrossentropy": (FewShotCrossentropy(2, one_hot=True), labels),
    }[loss]
    found = task_losses(FirstLogits(wrapped, 2), tf.constant(given), LOGITS, 2)
    by_hand = task_losses(FewShotCrossentropy(2), tf.constant(NUMBERS), LOGITS[:, :2], 2)
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight", "sum_over_batch_size"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 255])
def test_pixels_are_reduced_as_in_keras(reduction, weighted, ignored, rng):
    labels = rng.integers(0, 3, (4, 5))
    if ignored is not None:
        labels[labels == 1] = ignored
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=ignored, reduction=reduction
    )
    labels, logits = tf.constant(labels), tf.constant(rng.normal(size=(4, 5, 3)), tf.float32)
    weights = tf.constant(rng.random((2, 2)), tf.float32) if weighted else None
    by_keras = []
    for b, of_task in enumerate((slice(0, 2), slice(2, 4))):
        of_pixels = tf.repeat(weights[b][:, None], 5, 1) if weighted else None
        by_keras.append(loss(labels[of_task], logits[of_task], of_pixels))
    np.testing.assert_allclose(task_losses(loss, labels, logits, 2, weights), by_keras, rtol=1e-5)


BINARY = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "hinge",
    "squared_hinge",
    keras.losses.BinaryCrossentropy(from_logits=True),
    keras.losses.BinaryFocalCrossentropy(from_logits=True),
    keras.losses.Hinge(),
    keras.losses.SquaredHinge(reduction="sum"),
]


@pytest.mark.parametrize("loss", BINARY)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "bool"])
def test_binary_losses_of_one_output_are_those_of_keras(loss, dtype):
    loss = keras.losses.get(loss)
    outputs = tf.constant([[0.1], [0.8], [0.6], [0.3]])
    numbers = np.array([0, 1, 0, 1])
    reference = loss
    if not isinstance(loss, keras.losses.Loss):
        reference = lambda y, p: tf.reduce_mean(loss(y, p))  # noqa: E731
    column = tf.constant(numbers[:, None].astype("float32"))
    by_keras = [reference(column[i : i + 2], outputs[i : i + 2]) for i in (0, 2)]
    for shape in ((4,), (4, 1)):
        labels = tf.constant(numbers.reshape(shape).astype(dtype))
        found = task_losses(loss, labels, outputs, 2)
        np.testing.assert_allclose(found, by_keras, rtol=1e-5)


def test_class_numbers_are_not_one_hot_labels():
    loss = FewShotCrossentropy(1, one_hot=True)
    with pytest.raises(ValueError, match="Labels must be one-hot"):
        loss.call(tf.constant([0, 1, 2]), tf.zeros([3, 3]))
