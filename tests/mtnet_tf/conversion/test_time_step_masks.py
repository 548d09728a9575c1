"""Converted models treat Keras' time-step masks as the stock model does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, MetaLearner, fold, layers, to_mtnet
from mtnet_tf.layers.task_weights import find_task_weights
from mtnet_tf.meta import meta_loss
from mtnet_tf.tasks import Episode

K = keras.layers
WORDS = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0], [5, 5, 1, 2, 3]])  # 0 is padding


def embedded():
    words = keras.Input((5,), dtype="int32")
    return words, K.Embedding(6, 4, mask_zero=True)(words)


def recurrent():
    words, x = embedded()
    return keras.Model(words, K.Dense(2)(K.LSTM(3)(K.Dense(4, "relu")(x))))


def sequential():
    members = [K.Embedding(6, 4, mask_zero=True), K.Dense(4, "relu"), K.LSTM(3), K.Dense(2)]
    return keras.Sequential([keras.Input((5,), dtype="int32"), *members])


def normalized():
    words, x = embedded()
    x = K.GroupNormalization(2)(K.LayerNormalization()(K.BatchNormalization()(x)))
    x = K.Bidirectional(K.GRU(3, return_sequences=True))(K.Dense(4)(x))
    return keras.Model(words, K.GlobalAveragePooling1D()(K.TimeDistributed(K.Dense(2))(x)))


def transformer():
    words, x = embedded()
    query = K.Dense(4)(x)
    x = K.LayerNormalization()(query + K.MultiHeadAttention(2, 2)(query, query))
    return keras.Model(words, K.Dense(2)(K.GlobalAveragePooling1D()(x)))


def nested():
    words, x = embedded()
    inner = keras.Sequential([keras.Input((5, 4)), K.Dense(4), K.LSTM(3)])
    return keras.Model(words, K.Dense(2)(inner(x)))


def masks_as_arguments():
    words = keras.Input((5,), dtype="int32")
    present = keras.ops.not_equal(words, 0)
    x = K.Dense(4)(K.Embedding(6, 4)(words))
    x = K.MultiHeadAttention(2, 2)(x, x, attention_mask=keras.ops.expand_dims(present, 1))
    x = K.BatchNormalization()(x, mask=present)
    return keras.Model(words, K.LSTM(3)(K.Dense(4)(x), mask=present))


def labelled_steps():
    words, x = embedded()
    return keras.Model(words, K.Dense(2)(x))


MODELS = [
    recurrent,
    sequential,
    normalized,
    transformer,
    nested,
    masks_as_arguments,
    labelled_steps,
]


@pytest.mark.filterwarnings("ignore:Layer 'sequential.*does not support masking")  # a nested model
@pytest.mark.parametrize("make", MODELS)
def test_converted_and_folded_models_give_the_outputs_and_masks_of_the_stock_model(make):
    model = make()
    expected = model(WORDS)
    other = np.where(WORDS == 0, 5, WORDS)
    assert np.max(np.abs(model(other) - expected)) > 1e-3  # padding matters
    converted = to_mtnet(model)
    for copy in (converted, fold(converted)):
        outputs = copy(WORDS)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
        masks = [keras.src.backend.get_keras_mask(y) for y in (outputs, expected)]
        assert (masks[0] is None) == (masks[1] is None) == (make is not labelled_steps)
        if make is labelled_steps:
            np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("make", [sequential, normalized])
def test_flattened_tasks_give_the_numbers_of_one_task_at_a_time(make, rng):
    model = to_mtnet(make())
    x = rng.integers(0, 6, size=(2, 3, 4, 5))
    x[..., 0] = 1
    x[..., 3:] *= rng.integers(0, 2, size=(2, 3, 4, 1))
    y = np.tile([0, 1, 0, 1], (3, 1))
    x, y = tf.constant(x, tf.int32), tf.constant(y)
    episode = Episode(x[0], y, x[1], y)
    weights = find_task_weights(model)
    options = {"num_inner_steps": 2, "step_size": 0.1}

    def losses(weights, episode):
        return meta_loss(model, weights, FewShotCrossentropy(2), episode, **options).query_losses

    found = losses(weights, episode)
    apart = [w._replace(flattened=False) for w in weights]
    np.testing.assert_allclose(found, losses(apart, episode), rtol=1e-5)
    for task in range(3):
        single = Episode(*(part[task : task + 1] for part in episode[:4]))
        np.testing.assert_allclose(found[task], losses(weights, single)[0], rtol=1e-5)


def test_an_adapted_model_ignores_padding(rng):
    learner = MetaLearner(to_mtnet(recurrent()), step_size=0.1)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    adapted = learner.adapt(WORDS[:2], [0, 1])
    short = adapted(WORDS[:1])
    np.testing.assert_allclose(fold(adapted)(WORDS[:1]), short, rtol=1e-5, atol=1e-6)
    assert np.max(np.abs(adapted(np.where(WORDS == 0, 5, WORDS)[:1]) - short)) > 1e-4


def test_a_cell_that_drops_masks_is_noticed(monkeypatch):
    monkeypatch.setattr(layers.TWDense, "compute_mask", lambda self, inputs, mask: None)
    with pytest.raises(ValueError, match="differs in the output of dense.* of class Dense"):
        to_mtnet(sequential())  # in a functional model, masks are part of the graph
