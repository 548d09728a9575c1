"""Time steps that Keras masks do not count in the loss of a task, as in Keras' `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import MetaLearner, TWDense
from mtnet_tf.meta import task_losses, task_means

CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def tagger(**options):
    """A class for each step of a sequence in which zeros are padding."""
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(7, 4, mask_zero=True, name="embedding"),
            TWDense(6, "tanh", mask=None, name="hidden"),
            keras.layers.LSTM(4, return_sequences=True, name="lstm"),
            TWDense(3, mask=None, name="head"),
        ],
        **options,
    )


@pytest.fixture
def sequences(rng):
    x = rng.integers(1, 7, (2, 4, 5))
    for task, length in ((0, 3), (1, 1)):
        x[task, :, length:] = 0
    x[:, 0] = rng.integers(1, 7, (2, 5))
    return x, rng.integers(0, 3, (2, 4, 5))


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_losses_of_tasks_are_those_of_keras(sequences, reduction):
    x, y = sequences
    model = tagger()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    expected = [loss(y[i], model(x[i])) for i in range(2)]
    found = task_losses(loss, tf.constant(y.reshape(8, 5)), model(x.reshape(8, 5)), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_means_of_tasks_leave_out_masked_steps(sequences):
    x, _ = sequences
    outputs = tagger()(x.reshape(8, 5))
    values = tf.cast(tf.reshape(tf.range(40), [8, 5]), tf.float32)
    rows, counted = values.numpy().reshape(2, 20), x.reshape(2, 20) > 0
    expected = [rows[i][counted[i]].mean() for i in range(2)]
    np.testing.assert_allclose(task_means(values, outputs, 2), expected)
    np.testing.assert_allclose(task_means(values, tf.zeros([8, 5, 3]), 2), rows.mean(1))


@pytest.mark.parametrize("adapt_layers", [None, ["hidden", "lstm", "head"]])
def test_padding_changes_neither_loss_nor_adaptation(sequences, adapt_layers):
    x, y = sequences
    learner = MetaLearner(tagger(), 0.1, 2, adapt_layers=adapt_layers)
    learner.compile("sgd", CROSSENTROPY, run_eagerly=True)
    other = np.where(x == 0, (y + 1) % 3, y)  # labels of padding
    scores = [learner.evaluate(((x, t), (x, t)), batch_size=2, verbose=0) for t in (y, other)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)
    adapted = [learner.adapt(x[0], t[0])(x[0]) for t in (y, other)]
    np.testing.assert_allclose(adapted[0], adapted[1], rtol=1e-5)


def test_a_mask_holds_for_every_output_of_a_step():
    inputs = tf.constant([[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]])  # the last step is padding
    predictions = keras.layers.Masking()(inputs)
    labels = tf.constant([[[0.0, 0.0], [0.0, 0.0], [9.0, 9.0]]])
    found = task_losses(lambda y, p: tf.square(y - p), labels, predictions, 1)
    np.testing.assert_allclose(found, [(1 + 4 + 9 + 16) / 4])
