"""The Laplace term of LLAMA against dense Hessians."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_baselines.gradient.llama import LLAMA, curvature_factors, log_determinant, output_factor
from mtnet_tf import MetaLearner, TWConv2D, TWDense
from mtnet_tf.layers.task_weights import find_task_weights
from mtnet_tf.meta.inner_loop import initial_fast_weights
from mtnet_tf.meta.meta_step import predict

PLAIN = {"transform": False, "mask": None, "dtype": "float64"}
SEED = tf.constant([0, 1])


def network(*sizes, num_inputs=2):
    inputs = keras.Input((num_inputs,), dtype="float64")
    cells = [
        TWDense(n, activation="relu" if i < len(sizes) - 1 else None,
                kernel_initializer=keras.initializers.RandomNormal(seed=i, stddev=1.0), **PLAIN)
        for i, n in enumerate(sizes)
    ]  # fmt: skip
    return keras.Sequential([inputs, *cells])


def summed_loss(predictions, y):
    if y.dtype.is_integer:
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(y, predictions))
    return 0.5 * tf.reduce_sum(tf.square(predictions - y))


def dense_hessian(model, x, y, index):
    """Of the summed loss of one task in W and b of one cell, ordered as (input, output)."""
    weights = find_task_weights(model)
    values = initial_fast_weights([w.variable for w in weights], 1)
    kernel, bias = values[2 * index][0], values[2 * index + 1][0]
    flat = tf.concat([tf.reshape(kernel, [-1]), bias], 0)

    def loss(flat):
        both = tf.reshape(flat, [-1, bias.shape[0]])
        own = [*values]
        own[2 * index] = tf.reshape(both[:-1], [1, *kernel.shape])
        own[2 * index + 1] = both[None, -1]
        return summed_loss(predict(model, weights, own, x), y[0])

    with tf.GradientTape(persistent=True) as outer:
        outer.watch(flat)
        with tf.GradientTape() as inner:
            inner.watch(flat)
            value = loss(flat)
        gradient = inner.gradient(value, flat)
    return outer.jacobian(gradient, flat, experimental_use_pfor=False).numpy()


def factors(model, x, is_class):
    weights = find_task_weights(model)
    values = initial_fast_weights([w.variable for w in weights], x.shape[0])
    return curvature_factors(model, weights, values, x, is_class)


def products(roots):
    """R^T R of each root."""
    return [[tf.matmul(root, root, transpose_a=True) for root in pair] for pair in roots]


@pytest.mark.parametrize("is_class", [False, True])
def test_factors_of_one_example_are_the_dense_hessian_of_each_layer(is_class, rng):
    model = network(4, 3)
    x = tf.constant(rng.normal(size=(1, 1, 2)))
    y = tf.constant([[1]]) if is_class else tf.constant(rng.normal(size=(1, 1, 3)))
    for i, (inputs, outputs) in enumerate(products(factors(model, x, is_class))):
        expected = dense_hessian(model, x, y, i)
        np.testing.assert_allclose(np.kron(inputs[0], outputs[0]), expected, atol=1e-9)


def test_log_determinant_of_a_linear_model_is_that_of_its_dense_hessian(rng):
    model = network(2)
    x, y = (tf.constant(rng.normal(size=(1, 6, 2))) for _ in range(2))
    _, expected = np.linalg.slogdet(dense_hessian(model, x, y, 0))
    found = log_determinant(factors(model, x, False), damping=0.0)
    np.testing.assert_allclose(found, [expected])


def test_factors_of_a_linear_convolution_are_its_dense_hessian(rng):
    """Each position of the kernel counts as an example; each output has a separate loss."""
    cell = TWConv2D(2, 2, padding="valid", **PLAIN)
    inputs = keras.Input((3, 4, 2), dtype="float64")
    model = keras.Sequential([inputs, cell, keras.layers.Flatten(dtype="float64")])
    x, y = tf.constant(rng.normal(size=(1, 3, 3, 4, 2))), tf.constant(rng.normal(size=(1, 3, 12)))
    ((patches, outputs),) = products(factors(model, x, False))
    expected = dense_hessian(model, x, y, 0)
    np.testing.assert_allclose(np.kron(patches[0], outputs[0]), expected, atol=1e-9)


@pytest.mark.parametrize("rows", [2, 5, 9])
def test_log_determinant_of_few_and_of_many_rows_is_numpys(rows, rng):
    roots = [(rng.normal(size=(3, rows, 5)), rng.normal(size=(3, 4, 2)))]
    found = log_determinant([tuple(map(tf.constant, pair)) for pair in roots], damping=0.1)
    for i, (a, g) in enumerate(zip(*roots[0], strict=True)):
        damped = [m.T @ m + 0.1 * np.eye(m.shape[1]) for m in (a, g)]
        np.testing.assert_allclose(found[i], np.linalg.slogdet(np.kron(*damped))[1])


def test_log_determinant_of_similar_images_is_finite_in_single_precision(rng):
    """Large rows with small differences, like the patches of smooth images."""
    similar = rng.normal(size=(1, 1, 60)) * 30 + 0.01 * rng.normal(size=(1, 200, 60))
    found = [
        log_determinant([(tf.constant(similar, dtype), tf.constant(similar[:, :, :5], dtype))])
        for dtype in ("float32", "float64")
    ]
    assert found[0].dtype == tf.float32
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3)


def test_factors_of_a_task_do_not_depend_on_the_other_tasks(rng):
    model = network(4, 3)
    x = tf.constant(rng.normal(size=(2, 5, 2)))
    together = tf.nest.flatten(products(factors(model, x, True)))
    for i in range(2):
        alone = tf.nest.flatten(products(factors(model, x[i : i + 1], True)))
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[i], b[0], atol=1e-12)


def test_output_factor_is_a_root_of_the_softmax_hessian(rng):
    logits = tf.constant(rng.normal(size=(1, 4)))
    p = tf.nn.softmax(logits)[0].numpy()
    root = output_factor(logits, True)[0].numpy()
    np.testing.assert_allclose(root @ root.T, np.diag(p) - np.outer(p, p), atol=1e-12)


def test_output_factor_of_one_logit_is_the_root_of_the_variance(rng):
    logits = tf.constant(rng.normal(size=(3, 1)))
    p = tf.sigmoid(logits).numpy()
    np.testing.assert_allclose(output_factor(logits, True)[:, 0] ** 2, p * (1 - p), rtol=1e-12)


def learner(kind, **options):
    found = kind(network(3, 1, num_inputs=1), 0.1, **options)
    found.compile("adam", "mean_squared_error", run_eagerly=True)
    return found


def test_without_weight_it_is_maml_and_with_weight_the_term_is_added(regression_episode):
    episode = regression_episode()
    plain = learner(MetaLearner).meta_loss(episode, SEED, training=True).value
    values = [
        learner(LLAMA, eta=eta).meta_loss(episode, SEED, training=True).value
        for eta in (0.0, 0.01, 0.02)
    ]
    assert values[0] == plain != values[1]
    np.testing.assert_allclose(values[2] - plain, 2 * (values[1] - plain))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"damping": 0.0}, "`damping` must be positive. Received: damping=0.0"),
        ({"eta": -1e-6}, "`eta` must not be negative. Received: eta=-1e-06"),
    ],
)
def test_numbers_out_of_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        learner(LLAMA, **options)


def test_the_gradient_of_the_term_is_the_numerical_one(rng, regression_episode):
    episode = regression_episode(num_tasks=2)
    found = learner(LLAMA, eta=0.5, damping=0.1)
    _, gradients = found.meta_gradients(episode, SEED)
    variable, gradient = found.meta_parameters[0], gradients[0]
    start, direction = variable.numpy(), rng.normal(size=variable.shape)
    values = []
    for step in (1e-5, -1e-5):
        variable.assign(start + step * direction)
        values.append(found.meta_loss(episode, SEED, training=True).value)
    np.testing.assert_allclose((values[0] - values[1]) / 2e-5, np.sum(gradient * direction), 1e-5)
