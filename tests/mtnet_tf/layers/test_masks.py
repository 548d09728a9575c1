import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow_probability import distributions as tfd

from mtnet_tf.layers import MaskLogits, masks

LOGITS = tf.constant([-2.0, -0.3, 0.0, 0.7, 3.0], tf.float64)


def test_hard_mask_is_exactly_zero_or_one(rng):
    noise = tf.constant(rng.logistic(size=(1000, 5)))
    assert set(np.unique(masks.hard_mask(LOGITS, noise))) == {0.0, 1.0}


def test_hard_mask_is_one_where_logit_plus_noise_is_positive():
    noise = tf.constant([1.9, 0.4, 0.0, -0.8, -2.0], tf.float64)
    np.testing.assert_array_equal(masks.hard_mask(LOGITS, noise), [0, 1, 1, 0, 1])


def test_soft_mask_is_equation_11(rng):
    g1, g2 = rng.gumbel(size=(2, 7, 5))
    c = 0.7
    numerator = np.exp((LOGITS + g1) / c)
    expected = numerator / (numerator + np.exp(g2 / c))
    np.testing.assert_allclose(masks.soft_mask(LOGITS, tf.constant(g1 - g2), c), expected)


def test_soft_mask_has_the_law_of_tfp_relaxed_bernoulli(rng):
    # If noise is the logistic quantile of u, the sample must be the relaxed Bernoulli's.
    u = rng.uniform(0.01, 0.99, size=(50, 5))
    sample = masks.soft_mask(LOGITS, tf.constant(stats.logistic.ppf(u)), 0.5)
    law = tfd.RelaxedBernoulli(np.float64(0.5), logits=LOGITS)
    np.testing.assert_allclose(law.cdf(sample), u, rtol=1e-10)


def test_noise_is_logistic():
    noise = masks.logistic_noise([20000], tf.constant([1, 2])).numpy()
    assert stats.kstest(noise, "logistic").pvalue > 1e-3


def test_noise_is_the_same_with_and_without_xla():
    draw = lambda: masks.logistic_noise([1000], tf.constant([1, 2]))  # noqa: E731
    compiled = tf.function(draw, jit_compile=True, autograph=False)()
    np.testing.assert_allclose(draw(), compiled, rtol=1e-5, atol=1e-6)
    assert np.all(np.isfinite(masks.logistic_noise([10**6], tf.constant([1, 2]))))


def test_active_fraction_is_the_sigmoid_of_the_logit():
    noise = masks.logistic_noise([20000, 5], tf.constant([3, 4]), tf.float64)
    active = masks.hard_mask(LOGITS, noise).numpy().mean(0)
    np.testing.assert_allclose(active, masks.active_probability(LOGITS), atol=0.015)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_straight_through_has_the_gradient_of_the_soft_mask(rng, temperature):
    noise = tf.constant(rng.logistic(size=(3, 5)))
    weights = tf.constant(rng.normal(size=(3, 5)))
    gradients = []
    for draw in (masks.hard_mask, masks.soft_mask):
        with tf.GradientTape() as tape:
            tape.watch(LOGITS)
            value = tf.reduce_sum(weights * draw(LOGITS, noise, temperature))
        gradients.append(tape.gradient(value, LOGITS))
    np.testing.assert_array_equal(*gradients)


def test_most_probable_mask_needs_no_noise():
    np.testing.assert_array_equal(masks.most_probable_mask(LOGITS), [0, 0, 1, 1, 1])


def test_mask_logits_layer_samples_one_mask_per_task_from_its_seed():
    layer = MaskLogits((4, 3))
    layer.build()
    first, again = (layer.sample(6, tf.constant([1, 2])) for _ in range(2))
    assert first.shape == (6, 4, 3)
    np.testing.assert_array_equal(first, again)
    assert np.any(first != layer.sample(6, tf.constant([1, 3])))


def test_mask_logits_layer_can_be_soft():
    layer = MaskLogits((200,), hard=False)
    layer.build()
    sample = layer.sample(1, tf.constant([1, 2])).numpy()
    assert np.all((sample > 0) & (sample < 1))


def test_temperature_must_be_positive():
    with pytest.raises(ValueError, match="`temperature` must be positive. Received: temperature=0"):
        MaskLogits((3,), temperature=0)
