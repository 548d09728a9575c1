"""Operations whose derivatives are written in closed form, against plain formulas."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf.layers.fast_weights import SharedWeight, shared_product
from mtnet_tf.layers.moments import add_offset, moments, standardize, standardize_by_own
from mtnet_tf.layers.patches import Windows, patches


def derivatives(function, inputs, rng):
    """Values of a function and its directional derivatives up to the third order."""
    inputs = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as third:
        third.watch(inputs)
        with tf.GradientTape() as second:
            second.watch(inputs)
            with tf.GradientTape() as first:
                first.watch(inputs)
                outputs = function(*inputs)
                value = tf.reduce_sum(tf.sin(outputs) * rng.normal(size=outputs.shape))
            gradients = first.gradient(value, inputs)
            value = tf.add_n([tf.reduce_sum(g * rng.normal(size=g.shape)) for g in gradients])
        hessian = second.gradient(value, inputs)
        value = tf.add_n([tf.reduce_sum(g * rng.normal(size=g.shape)) for g in hessian])
    return [outputs, *gradients, *hessian, *third.gradient(value, inputs)]


def assert_same_derivatives(function, reference, inputs):
    found, expected = (
        derivatives(f, inputs, np.random.default_rng(1)) for f in (function, reference)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def receptive_fields(x, kernel, stride, dilation, before, outputs):
    """The rows of `patches` for images [n, H, W, C], by loops over their definition."""
    n, height, width, channels = x.shape
    rows = np.zeros([n, *outputs, kernel, kernel, channels])
    positions = itertools.product(*map(range, (*outputs, kernel, kernel)))
    for i, j, k, m in positions:
        row = i * stride + k * dilation - before[0]
        column = j * stride + m * dilation - before[1]
        if 0 <= row < height and 0 <= column < width:
            rows[:, i, j, k, m] = x[:, row, column]
    return rows.reshape([n, *outputs, -1])


# Kernel size, stride, dilation rate.
SHAPES = ((1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 3, 1), (5, 2, 1), (3, 1, 2), (4, 4, 1))
CASES = [
    (size, *shape, padding)
    for size, shape in itertools.product([(1, 1), (4, 4), (7, 5)], SHAPES)
    for padding in ("same", "valid")
    if padding == "same" or (shape[0] - 1) * shape[2] < min(size)
]


@pytest.mark.parametrize(("size", "kernel", "stride", "dilation", "padding"), CASES)
def test_windows_are_the_receptive_fields_and_their_transpose(
    size, kernel, stride, dilation, padding, rng
):
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        outputs, before = [(s - reach) // stride + 1 for s in size], (0, 0)
    else:
        outputs = [-(-s // stride) for s in size]
        totals = [(o - 1) * stride + reach - s for o, s in zip(outputs, size, strict=True)]
        before = [max(0, total) // 2 for total in totals]
    windows = Windows(size, (kernel,) * 2, (stride,) * 2, padding, (dilation,) * 2)
    x = rng.normal(size=(2, *size, 3))
    rows = windows.rows(tf.constant(x)).numpy()
    expected = receptive_fields(x, kernel, stride, dilation, before, outputs)
    np.testing.assert_array_equal(rows, expected)
    other = rng.normal(size=rows.shape)
    # <A x, y> = <x, A' y> for every x and y determines the transpose A'.
    transposed = windows.inputs(tf.constant(other)).numpy()
    assert transposed.shape == x.shape
    np.testing.assert_allclose(np.sum(rows * other), np.sum(x * transposed), rtol=1e-10)


@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
def test_derivatives_of_windows_of_sequences_are_windows(padding, rng):
    x = rng.normal(size=(2, 9, 2))
    windows = Windows((9,), (3,), (2,), padding, (1,))

    def one_by_one(x):
        # Each row of the identity selects one input: a matrix of the linear map.
        basis = np.eye(18).reshape(18, 9, 2)
        matrix = tf.reshape(windows.rows(tf.constant(basis)), [18, -1])
        return tf.reshape(tf.reshape(x, [2, 18]) @ matrix, windows.rows(x).shape)

    assert_same_derivatives(lambda x: patches(x, [3], [2], padding, [1]), one_by_one, [x])


def test_a_task_normalised_by_its_own_statistics_has_exact_derivatives(rng):
    def plain(x):
        return standardize(x, *moments(x, 1), 1e-3)

    assert_same_derivatives(
        lambda x: standardize_by_own(x, 1, 1e-3), plain, [rng.normal(size=(2, 7, 3))]
    )


def test_half_precision_is_normalised_in_float32():
    x = tf.constant([[[60000.0], [0.0]]], tf.float16)  # its square overflows
    np.testing.assert_allclose(standardize_by_own(x, 1, 1e-3)[0, :, 0], [1.0, -1.0], atol=1e-3)


def test_a_shared_weight_is_the_weight_of_each_task(rng):
    rows, kernel, offsets = (rng.normal(size=s) for s in [(3, 4, 5), (5, 2), (3, 5, 2)])

    def shared(rows, kernel, offsets):
        return shared_product(rows, SharedWeight(kernel, 0.0 * offsets))

    def plain(rows, kernel, offsets):
        return rows @ (kernel + 0.0 * offsets)

    assert_same_derivatives(shared, plain, [rows, kernel, offsets])
    weight = SharedWeight(tf.constant(kernel), tf.zeros([3, 5, 2], tf.float64))
    np.testing.assert_array_equal(weight.of_tasks()[1], kernel)


def test_gradients_of_offsets_are_those_of_each_task(rng):
    rows, kernel, upstream = (rng.normal(size=s) for s in [(3, 4, 5), (5, 2), (3, 4, 2)])
    offsets = tf.zeros([3, 5, 2], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(offsets)
        products = shared_product(tf.constant(rows), SharedWeight(tf.constant(kernel), offsets))
    found = tape.gradient(products, offsets, output_gradients=tf.constant(upstream))
    np.testing.assert_allclose(found, np.einsum("bmd,bmu->bdu", rows, upstream), rtol=1e-12)


def test_an_offset_is_added_with_exact_derivatives(rng):
    inputs = [rng.normal(size=(2, 3, 4, 5)), rng.normal(size=5)]
    assert_same_derivatives(lambda x, offset: add_offset(x * x, offset), plain_sum, inputs)


def plain_sum(x, offset):
    return x * x + offset
