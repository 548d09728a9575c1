import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import adapt
from mtnet_tf.meta.inner_loop import initial_fast_weights


def quadratic(matrix):
    """Loss of each task: w' A w / 2, gradient A w."""
    return lambda weights, step=0: 0.5 * tf.einsum("bi,bij,bj->b", weights[0], matrix, weights[0])


@pytest.fixture
def problem(rng):
    root = rng.normal(size=(3, 4, 4))
    return tf.constant(root @ root.transpose(0, 2, 1)), tf.constant(rng.normal(size=(3, 4)))


def test_one_step_is_gradient_descent_in_each_task(problem):
    matrix, start = problem
    result = adapt(quadratic(matrix), [start], num_inner_steps=1, step_size=0.1)
    expected = start - 0.1 * np.einsum("bij,bj->bi", matrix, start)
    np.testing.assert_allclose(result.fast_weights[0], expected)
    np.testing.assert_allclose(result.support_losses[0], quadratic(matrix)([start]))


def test_meta_gradient_through_three_steps_is_that_of_the_matrix_power(problem):
    matrix, start = problem
    with tf.GradientTape() as tape:
        tape.watch(start)
        adapted = adapt(quadratic(matrix), [start], num_inner_steps=3, step_size=0.1).fast_weights
        loss = tf.reduce_sum(quadratic(matrix)(adapted))
    step = np.eye(4) - 0.1 * matrix.numpy()
    power = np.linalg.matrix_power(step, 3)
    expected = np.einsum("bji,bjk,bkl,bl->bi", power, matrix, power, start)
    np.testing.assert_allclose(tape.gradient(loss, start), expected)


def test_first_order_gradient_is_that_at_the_adapted_weights(problem):
    matrix, start = problem
    options = {"num_inner_steps": 3, "step_size": 0.1, "first_order": True}
    with tf.GradientTape() as tape:
        tape.watch(start)
        adapted = adapt(quadratic(matrix), [start], **options).fast_weights
        loss = tf.reduce_sum(quadratic(matrix)(adapted))
    expected = np.einsum("bij,bj->bi", matrix, adapted[0])
    np.testing.assert_allclose(tape.gradient(loss, start), expected)


def test_masked_unit_keeps_its_weights(problem):
    matrix, start = problem
    mask = tf.constant([[1.0, 0.0, 1.0, 0.0]] * 3, tf.float64)
    options = {"num_inner_steps": 4, "step_size": 0.1, "masks": lambda step: [mask]}
    result = adapt(quadratic(matrix), [start], **options)
    moved = result.fast_weights[0].numpy() != start.numpy()
    np.testing.assert_array_equal(moved, mask.numpy() == 1)


def test_masks_are_requested_at_every_step(problem):
    matrix, start = problem
    asked = []
    options = {"num_inner_steps": 3, "step_size": 0.1}
    adapt(quadratic(matrix), [start], masks=lambda step: asked.append(step) or [None], **options)
    assert asked == [0, 1, 2]


@pytest.mark.parametrize(
    "options",
    [
        {"num_inner_steps": 0, "step_size": 0.1},
        {"num_inner_steps": 2, "step_size": tf.Variable(0.0)},
    ],
)
def test_no_steps_and_no_step_size_change_nothing(problem, options):
    matrix, start = problem
    result = adapt(quadratic(matrix), [start], **options)
    np.testing.assert_array_equal(result.fast_weights[0], start)
    assert len(result.weights) == options["num_inner_steps"] + 1


def test_unused_weight_stays(problem):
    matrix, start = problem
    unused = tf.ones([3, 2], tf.float64)
    result = adapt(quadratic(matrix), [start, unused], num_inner_steps=2, step_size=0.1)
    np.testing.assert_array_equal(result.fast_weights[1], unused)


def test_initial_fast_weights_are_copies_for_each_task():
    import keras

    variable = keras.Variable([[1.0, 2.0]])
    (weights,) = initial_fast_weights([variable], 3)
    np.testing.assert_array_equal(weights, [[[1.0, 2.0]]] * 3)
