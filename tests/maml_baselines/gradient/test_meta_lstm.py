"""The meta-learner LSTM against gradient descent, and its preprocessing by hand."""

import math

import keras
import numpy as np
import tensorflow as tf

from maml_baselines.gradient.meta_lstm import LSTMRule, preprocess
from mtnet_tf import MetaLearner, networks
from mtnet_tf.meta.inner_loop import adapt


def closed(rule, alpha):
    """Gates with constant values: forget nothing, and the input gate is alpha."""
    for variable in rule.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    rule.forget_bias.assign(50.0)
    rule.input_bias.assign(math.log(alpha / (1 - alpha)))
    return rule


def test_fixed_gates_are_gradient_descent(rng):
    matrix = tf.constant(rng.normal(size=(2, 3, 3)))
    start = [tf.constant(rng.normal(size=(2, 3))), tf.constant(rng.normal(size=(2, 3, 1)))]

    def losses(weights, step):
        product = matrix @ weights[1] + weights[0][..., None]
        return tf.reduce_sum(tf.square(product), [1, 2])

    rule = LSTMRule(hidden_units=4, dtype="float64")
    rule.build([(3,), (3, 1)])
    found = adapt(losses, start, num_inner_steps=3, update_rule=closed(rule, 0.1))
    expected = adapt(losses, start, num_inner_steps=3, step_size=0.1)
    for a, b in zip(found.fast_weights, expected.fast_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_gates_depend_on_weight_and_last_gate_by_hand():
    rule = LSTMRule(hidden_units=2, dtype="float64")
    rule.build([(1,)])
    closed(rule, 0.5)
    rule.input_kernel.assign([[0.0], [0.0], [1.0], [2.0]])  # of h, h, weight, last input gate
    weights, gradients = [tf.constant([[3.0]], tf.float64)], [tf.constant([[1.0]], tf.float64)]
    losses = tf.constant([1.0], tf.float64)
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    weights, state = rule.update(0, weights, gradients, losses, None)
    first = sigmoid(3.0)
    np.testing.assert_allclose(weights[0], [[3.0 - first]])
    again, _ = rule.update(1, weights, gradients, losses, state)
    np.testing.assert_allclose(again[0], [[3.0 - first - sigmoid(3.0 - first + 2 * first)]])


def test_losses_and_gradients_are_read_in_the_unit_of_the_mean(rng):
    """Five times the loss in a unit that is five times as large gives the same step."""
    rules = [LSTMRule(hidden_units=2, loss_unit=unit, dtype="float64") for unit in (1.0, 5.0)]
    weights, gradients = ([tf.constant(rng.normal(size=(2, 3)))] for _ in range(2))
    losses = tf.constant([1.0, 2.0], tf.float64)
    moved = []
    for rule in rules:
        rule.build([(3,)])
        scaled = [rule.loss_unit * g for g in gradients]
        moved.append(rule.update(0, weights, scaled, rule.loss_unit * losses, None)[0][0])
    np.testing.assert_allclose(*moved)


def test_preprocessing_of_large_and_small_numbers():
    x = tf.constant([math.e**3, -(math.e**-5), 0.0, math.e**-12], tf.float64)
    expected = [[0.3, 1], [-0.5, -1], [-1, 0], [-1, math.e**-2]]
    np.testing.assert_allclose(preprocess(x), expected, atol=1e-12)


def test_coordinates_share_their_parameters():
    sizes = []
    for units in (3, 30):
        rule = LSTMRule()
        rule.build([(units,)])
        sizes.append(sum(v.numpy().size for v in rule.trainable_variables))
    assert sizes[0] == sizes[1] == 4 * 20 * (4 + 20 + 1) + 2 * (20 + 2 + 1)


def test_every_parameter_of_the_rule_learns(regression_episode):
    model = networks.regression_network(
        dim_hidden=(3, 3), cell_options={"transform": False, "mask": None}, dtype="float64"
    )
    learner = MetaLearner(
        model,
        num_inner_steps=2,
        first_order=True,
        update_rule=LSTMRule(hidden_units=3, dtype="float64"),
    )
    learner.compile(keras.optimizers.SGD(0.1), "mean_squared_error", run_eagerly=True)
    _, gradients = learner.meta_gradients(regression_episode(), tf.constant([0, 1]))
    learned = len(learner.update_rule.trainable_variables)
    assert learned == 7 and all(np.any(g != 0) for g in gradients[-learned:])
