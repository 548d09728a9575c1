"""A loss compares each prediction with its own label, whatever their ranks."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf.meta import task_losses

# Two tasks of two examples.
LABELS = tf.constant([0.0, 1.0, 1.0, 0.0])
PREDICTIONS = tf.constant([[0.0], [1.0], [0.5], [0.5]])
MEAN_SQUARES = [0.0, 0.25]


class SquaredError(keras.losses.Loss):
    """A user's loss class that does not average over the last axis."""

    def call(self, y_true, y_pred):
        return tf.square(y_true - y_pred)


def branching(labels, predictions):
    return tf.cond(
        tf.reduce_sum(labels) > 100.0,
        lambda: tf.reduce_mean(tf.abs(labels - predictions), -1),
        lambda: tf.reduce_mean(tf.square(labels - predictions), -1),
    )


SQUARES = {
    "difference": lambda y, p: tf.square(y - p),
    "mean of the last axis": lambda y, p: tf.reduce_mean(tf.square(y - p), -1),
    "compiled": tf.function(lambda y, p: tf.reduce_mean(tf.square(y - p), -1)),
    "branching": branching,
    "Keras operations": lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=-1),
    "class of the user": SquaredError(),
    "class of Keras": keras.losses.MeanSquaredError(),
    "name": keras.losses.get("mse"),
    "partial": functools.partial(keras.losses.huber, delta=10.0),
}


@pytest.mark.parametrize("ranks", ["labels [n]", "predictions [n]"])
@pytest.mark.parametrize("name", SQUARES)
def test_each_prediction_is_compared_with_its_own_label(name, ranks):
    labels, predictions = LABELS, PREDICTIONS
    if ranks == "predictions [n]":
        labels, predictions = labels[:, None], predictions[:, 0]
    factor = 0.5 if name == "partial" else 1.0
    expected = factor * np.array(MEAN_SQUARES)
    found = task_losses(SQUARES[name], labels, predictions, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-6)

    @tf.function(
        jit_compile=True,
        input_signature=[
            tf.TensorSpec([None, *labels.shape[1:]]),
            tf.TensorSpec([None, *predictions.shape[1:]]),
        ],
    )
    def compiled(labels, predictions):
        return task_losses(SQUARES[name], labels, predictions, 2)

    np.testing.assert_allclose(compiled(labels, predictions), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        lambda y, p: tf.square(y - p[:, 0]),
        lambda y, p: tf.square(y[:, None] - p),
        lambda y, p: tf.reduce_mean(tf.square(y[:, None] - p), 1),
        lambda y, p: keras.losses.mean_squared_error(y[:, None], p),
    ],
)
def test_a_function_that_changes_ranks_itself_gets_the_arrays_as_they_are(loss):
    np.testing.assert_allclose(task_losses(loss, LABELS, PREDICTIONS, 2), MEAN_SQUARES)


@pytest.mark.parametrize("name", ["binary_crossentropy", "hinge", "squared_hinge", "log_cosh"])
def test_a_loss_given_by_name_is_that_of_labels_with_the_shape_of_the_predictions(name):
    loss = keras.losses.get(name)
    expected = np.mean(np.reshape(loss(LABELS[:, None], PREDICTIONS), [2, 2]), 1)
    np.testing.assert_allclose(task_losses(loss, LABELS, PREDICTIONS, 2), expected, rtol=1e-6)


def test_labels_of_pixels_may_lack_the_last_axis(rng):
    labels = tf.constant(rng.random((4, 3, 2)), tf.float32)
    predictions = tf.constant(rng.random((4, 3, 2, 1)), tf.float32)
    found = task_losses(lambda y, p: tf.square(y - p), labels, predictions, 2)
    squares = np.square(labels - predictions[..., 0]).reshape(2, -1)
    np.testing.assert_allclose(found, squares.mean(1), rtol=1e-5)


def test_a_loss_may_return_several_values_for_each_example(rng):
    y, p = (tf.constant(rng.random((4, 3, 2)), tf.float32) for _ in range(2))
    expected = np.square(y - p).reshape(2, -1).mean(1)
    flat = lambda y, p: tf.reshape(tf.square(y - p), [-1])  # noqa: E731
    for loss in (lambda y, p: tf.square(y - p), flat):
        np.testing.assert_allclose(task_losses(loss, y, p, 2), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "part"),
    [
        (
            lambda y, p: tf.reduce_mean(tf.square(y[:, None] - p)),
            "shape .4, 1., but it combines different examples",
        ),
        (lambda y, p: tf.reduce_mean(p), "shape .4, 1., but it combines different examples"),
        (
            lambda y, p: tf.reduce_sum(tf.reshape(y, [2, 2]), 1),
            r"one value per example.*values of shape \(2,\)",
        ),
        (
            lambda y, p: tf.square(y[None] - p),
            "shape .4, 1., but it combines different examples",
        ),
        (
            lambda y, p: tf.reduce_mean(tf.square(y[None] - p), 1),
            "shape .4, 1., but it combines different examples",
        ),
    ],
)
def test_a_loss_that_mixes_examples_is_rejected(loss, part):
    with pytest.raises(ValueError, match=f"`loss` must .*{part}"):
        task_losses(loss, LABELS, PREDICTIONS, 2)


def test_a_scalar_is_rejected_for_labels_of_the_right_shape():
    with pytest.raises(ValueError, match=r"values of shape \(\) for labels of shape \(4, 1\)"):
        task_losses(lambda y, p: tf.reduce_mean(y - p), LABELS[:, None], PREDICTIONS, 2)


def test_a_loss_of_too_few_values_is_rejected_if_the_number_is_known_only_at_run_time():
    loss = lambda y, p: tf.boolean_mask(y, y > 0.5)  # noqa: E731

    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None, 1])])
    def losses(labels, predictions):
        return task_losses(loss, labels, predictions, 2)

    with pytest.raises(tf.errors.InvalidArgumentError, match="eshape"):
        losses(LABELS, PREDICTIONS)


def test_a_loss_that_needs_values_works_eagerly():
    def loss(labels, predictions):
        return tf.constant(np.square(labels.numpy() - predictions.numpy()[:, 0]))

    np.testing.assert_allclose(task_losses(loss, LABELS, PREDICTIONS, 2), MEAN_SQUARES)


def test_a_loss_is_traced_once_more_only_if_the_ranks_differ():
    calls = []

    def loss(labels, predictions):
        calls.append(labels.shape)
        return tf.square(labels - predictions)[:, 0]

    task_losses(loss, LABELS[:, None], PREDICTIONS, 2)
    assert len(calls) == 1
