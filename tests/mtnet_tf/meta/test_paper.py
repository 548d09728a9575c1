"""The mathematics of sections 3 and 4 of the paper, on one cell.

The paper writes cells with column vectors, y = T W x; ours multiply rows, y = x W T. So the
paper's T and W are the transposes of ours, and its mask rows are our last axis.
"""

import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import networks
from mtnet_tf.layers import TWDense
from mtnet_tf.meta import meta_step
from mtnet_tf.meta.mask_sampler import MaskSampler

STEP = 0.05


def one_step(transform, kernel, mask, x, gradient_of_y):
    """Change of the outputs y of a cell by one inner step; rows of `x` and y are examples.

    The loss is linear in y, so that its gradient with respect to y is `gradient_of_y` everywhere.
    """
    units = transform.shape[0]
    cell = TWDense(units, use_bias=False, dtype="float64")
    cell(tf.constant(x))
    cell.kernel.assign(kernel)
    cell.transform.assign(transform)
    # zeta = +-50: probabilities of 1 and 0 to double precision.
    cell.kernel_mask.logits.assign(np.where(mask, 50.0, -50.0))
    model_weights = cell.task_weights()

    def loss(_, y):
        return tf.reduce_sum(y * gradient_of_y, -1) * len(x)  # the mean over examples undone

    support = (tf.constant(x)[None], tf.zeros([1, len(x), units], tf.float64))
    sampler = MaskSampler(model_weights, 1, tf.constant([1, 2]))

    def model(inputs, training):
        return cell(inputs)

    adapted = meta_step.adapt_to_support(
        model, model_weights, loss, support, num_inner_steps=1, masks=sampler, step_size=STEP
    ).fast_weights
    new = meta_step.predict(model, model_weights, adapted, support[0])
    return new.numpy() - cell(tf.constant(x)).numpy()


@pytest.fixture
def cell_values(rng):
    """T, W, x [1, 3] and the gradient of the loss with respect to y [1, 4]."""
    return (
        rng.normal(size=(4, 4)),
        rng.normal(size=(3, 4)),
        rng.normal(size=(1, 3)),
        rng.normal(size=(1, 4)),
    )


def test_equation_16_t_is_a_metric(cell_values):
    transform, kernel, x, gradient_of_y = cell_values
    change = one_step(transform, kernel, np.ones(4, bool), x, gradient_of_y)
    gradient_of_a = x.T @ gradient_of_y  # A = W T, [3, 4]
    expected = -STEP * x @ gradient_of_a @ transform.T @ transform
    np.testing.assert_allclose(change, expected, rtol=1e-12)


def test_equation_17_the_mask_selects_directions(cell_values):
    transform, kernel, x, gradient_of_y = cell_values
    mask = np.array([True, False, True, False])
    change = one_step(transform, kernel, mask, x, gradient_of_y)
    masked = transform * mask[:, None]  # T_M: rows of our T are the paper's columns
    expected = -STEP * x @ (x.T @ gradient_of_y) @ masked.T @ masked
    np.testing.assert_allclose(change, expected, rtol=1e-12)


def test_proposition_1_updates_span_the_chosen_subspace(rng):
    basis = rng.normal(size=(4, 4))  # rows; the first two span U
    product = rng.normal(size=(3, 4))  # A, to be kept
    kernel = product @ np.linalg.inv(basis)
    np.testing.assert_allclose(kernel @ basis, product)
    mask = np.array([True, True, False, False])
    x = rng.normal(size=(1, 3))
    changes = np.concatenate(
        [one_step(basis, kernel, mask, x, rng.normal(size=(1, 4))) for _ in range(6)]
    )
    assert np.linalg.matrix_rank(changes) == 2
    outside = np.linalg.svd(basis[:2])[2][2:]  # orthogonal complement of U
    np.testing.assert_allclose(changes @ outside.T, 0, atol=1e-12)


def test_proposition_2_the_update_is_steepest_descent_in_the_chosen_metric(rng):
    basis = rng.normal(size=(4, 4))
    root = rng.normal(size=(2, 2))
    metric = root.T @ root  # G = H' H on coefficients with respect to the basis of U
    transform = np.concatenate([np.linalg.inv(root).T @ basis[:2], basis[2:]])
    kernel = rng.normal(size=(3, 4)) @ np.linalg.inv(transform)
    mask = np.array([True, True, False, False])
    x, gradient_of_y = rng.normal(size=(1, 3)), rng.normal(size=(1, 4))
    change = one_step(transform, kernel, mask, x, gradient_of_y)
    coefficients = np.linalg.lstsq(basis[:2].T, change[0], rcond=None)[0]
    # Steepest descent over c of loss(y + c' U) in the metric G: direction -G^-1 (U gradient).
    steepest = -np.linalg.solve(metric, basis[:2] @ gradient_of_y[0])
    cosine = coefficients @ steepest / np.linalg.norm(coefficients) / np.linalg.norm(steepest)
    assert cosine == pytest.approx(1.0, abs=1e-12)
    # No other direction of the same length in G gains more.
    gain = -gradient_of_y[0] @ change[0]
    length = np.sqrt(coefficients @ metric @ coefficients)
    for other in rng.normal(size=(100, 2)):
        other = other * length / np.sqrt(other @ metric @ other)
        assert -gradient_of_y[0] @ (other @ basis[:2]) <= gain + 1e-12


def test_networks_are_those_of_the_paper():
    regression = networks.regression_network()
    assert [layer.units for layer in regression.layers if isinstance(layer, TWDense)] == [40, 40, 1]
    omniglot = networks.convolutional_network((28, 28, 1), 5)
    assert [v.shape for v in omniglot.weights if v.name == "kernel"] == [
        (3, 3, 1, 64), *[(3, 3, 64, 64)] * 3, (64, 5),
    ]  # fmt: skip
    mini = networks.convolutional_network((84, 84, 3), 5, num_filters=32, max_pool=True)
    assert mini.layers[-1].kernel.shape == (800, 5)


def test_initial_values_are_those_of_the_authors():
    omniglot = networks.convolutional_network((28, 28, 1), 20, cell_options={"mask": "weight"})
    conv, head = omniglot.layers[0], omniglot.layers[-1]
    assert np.std(head.kernel) == pytest.approx(1.0, rel=0.05)
    assert np.max(np.abs(omniglot.layers[3].kernel)) <= np.sqrt(6 / (9 * 64 * 2))
    np.testing.assert_array_equal(conv.transform, np.eye(64))
    assert not np.any(conv.bias)
    assert 0 < np.std(conv.kernel_mask.logits) < 0.01
    assert np.std(head.kernel_mask.logits) > 0.05
    dense = networks.regression_network()
    assert np.max(np.abs(dense.layers[0].kernel)) <= 0.02 + 1e-6
    assert not np.any(dense.layers[0].kernel_mask.logits)


def test_unknown_norm_is_rejected():
    with pytest.raises(ValueError, match="`norm` must be one of .* Received: norm='instance'"):
        networks.regression_network(norm="instance")
