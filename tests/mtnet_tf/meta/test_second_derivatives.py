"""Derivatives of the meta-loss against numerical ones, in float64."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import layers, networks
from mtnet_tf.layers.task_weights import find_task_weights
from mtnet_tf.meta import losses, meta_step
from mtnet_tf.meta.mask_sampler import MaskSampler

SOFT = {"hard_mask": False}  # a straight-through gradient is not the derivative of its mask
LAYERS = {
    "TWDense": (lambda: layers.TWDense(3, dtype="float64"), (4,)),
    "TWConv2D": (
        lambda: layers.TWConv2D(3, 3, strides=2, padding="same", dtype="float64"),
        (5, 5, 2),
    ),
    "TWConv1D": (lambda: layers.TWConv1D(3, 2, padding="causal", dtype="float64"), (5, 2)),
    "TWConv2D of groups": (
        lambda: layers.TWConv2D(4, 2, groups=2, padding="same", dtype="float64"),
        (3, 3, 2),
    ),
    "TWDepthwiseConv2D": (lambda: layers.TWDepthwiseConv2D(2, dtype="float64"), (3, 3, 2)),
    "TaskBatchNormalization": (lambda: layers.TaskBatchNormalization(dtype="float64"), (3, 3, 2)),
    "ExactLayerNormalization": (
        lambda: layers.ExactLayerNormalization(dtype="float64"),
        (3, 3, 2),
    ),
    "TaskBatchNormalization frozen": (
        lambda: layers.TaskBatchNormalization(frozen=True, scale=True, dtype="float64"),
        (3, 2),
    ),
    "TaskBatchNormalization of another axis": (
        lambda: layers.TaskBatchNormalization(axis=1, scale=True, dtype="float64"),
        (2, 3),
    ),
    "ExactLayerNormalization of one axis": (
        lambda: layers.ExactLayerNormalization(axis=-1, epsilon=1e-3, dtype="float64"),
        (3, 4),
    ),
    "ExactGroupNormalization": (
        lambda: layers.ExactGroupNormalization(2, dtype="float64"),
        (3, 4),
    ),
    "ExactResizing": (lambda: layers.ExactResizing(3, 6, dtype="float64"), (5, 4, 2)),
    "ExactResizing of channels first": (
        lambda: layers.ExactResizing(
            4,
            3,
            "bicubic",
            crop_to_aspect_ratio=True,
            data_format="channels_first",
            dtype="float64",
        ),
        (2, 5, 5),
    ),
    "ExactUpSampling2D": (
        lambda: layers.ExactUpSampling2D((2, 1), interpolation="lanczos3", dtype="float64"),
        (3, 4, 2),
    ),
    "BlockMaxPooling2D": (lambda: layers.BlockMaxPooling2D(dtype="float64"), (4, 4, 2)),
}


def gradient_of_a_weighted_sum(layer, x, cotangent):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(cotangent * tf.tanh(layer(x)))
    return tape.gradient(value, x)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_second_derivative_of_every_layer(name, jit, rng):
    make, shape = LAYERS[name]
    layer = make()
    x = tf.constant(rng.normal(size=(4, *shape)))
    # A cotangent that sums to zero would hide a wrong gradient of the mean.
    cotangent = tf.constant(rng.normal(size=layer(x).shape) + 1.0)
    function = tf.function(
        lambda x: gradient_of_a_weighted_sum(layer, x, cotangent), jit_compile=jit, autograph=False
    )
    theoretical, numerical = tf.test.compute_gradient(function, [x], delta=1e-5)
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-7)


def network(kind, norm):
    options = {"norm": norm, "cell_options": SOFT, "dtype": "float64", "seed": 3}
    if kind == "regression":
        return networks.regression_network(dim_hidden=(6, 5), **options)
    if kind == "dense_image":
        return networks.dense_image_network((4, 4, 1), 3, **options)
    if kind in ("groups", "masked_steps"):
        return special_network(kind)
    max_pool = kind == "max_pool"
    shape = (18, 18, 2) if max_pool else (12, 12, 1)
    return networks.convolutional_network(shape, 3, num_filters=3, max_pool=max_pool, **options)


def special_network(kind):
    """Grouped convolutions; or normalisation in which time steps of zeros do not count."""
    groups = [
        layers.TWConv2D(4, 3, groups=2, mask="weight", **SOFT),
        layers.TaskBatchNormalization(),
        layers.TWConv2D(8, 2, groups=4, activation="tanh", **SOFT),
        keras.layers.Flatten(),
    ]
    masked_steps = [
        keras.layers.Masking(),
        layers.TWDense(4, **SOFT),
        layers.TaskBatchNormalization(),
        layers.TWDense(3, activation="tanh", **SOFT),
        keras.layers.GlobalAveragePooling1D(),
    ]
    inside = groups if kind == "groups" else masked_steps
    shape = (5, 5, 4) if kind == "groups" else (4, 2)
    model = keras.Sequential([keras.Input(shape), *inside, layers.TWDense(3, **SOFT)])
    return keras.models.clone_model(model, clone_function=in_float64)


def in_float64(layer):
    return type(layer).from_config({**layer.get_config(), "dtype": "float64"})


def cases():
    """Every network, norm and number of steps. Most cases of three steps are slow."""
    for kind in ("groups", "masked_steps"):
        yield kind, "batch_norm", 1
        yield pytest.param(kind, "batch_norm", 3, marks=pytest.mark.slow)
    for kind, norm in itertools.product(
        ["regression", "dense_image", "strided", "max_pool"], networks.NORMS
    ):
        long = (kind, norm) == ("strided", "batch_norm")
        three_steps = pytest.mark.long if long else pytest.mark.slow
        yield pytest.param(kind, norm, 1, marks=pytest.mark.long if kind == "max_pool" else [])
        yield pytest.param(kind, norm, 3, marks=[] if kind == "regression" else three_steps)


@pytest.mark.parametrize(("kind", "norm", "num_inner_steps"), list(cases()))
def test_meta_gradient_is_the_numerical_one(
    kind, norm, num_inner_steps, rng, image_episode, regression_episode
):
    model = network(kind, norm)
    for variable in model.trainable_variables:
        scale = 0.2 if len(variable.shape) == 1 else 0.5 / np.sqrt(np.prod(variable.shape[:-1]))
        variable.assign(variable + scale * rng.normal(size=variable.shape))
    if kind == "regression":
        episode, loss = regression_episode(), keras.losses.MeanSquaredError()
    else:
        episode, loss = (
            image_episode(image_shape=model.input_shape[1:]),
            losses.FewShotCrossentropy(1),
        )
    if kind == "masked_steps":
        present = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]])[:, :, None]
        episode = episode._replace(
            support_x=episode.support_x * present, query_x=episode.query_x * present[::-1]
        )
    weights = find_task_weights(model)
    seed = tf.constant([1, 2])
    parameters = model.trainable_variables
    options = {"num_inner_steps": num_inner_steps, "step_size": 0.1}

    @tf.function(autograph=False)
    def value():
        masks = MaskSampler(weights, episode.query_x.shape[0], seed)
        return meta_step.meta_loss(model, weights, loss, episode, masks=masks, **options).value

    @tf.function(autograph=False)
    def gradient():
        masks = MaskSampler(weights, episode.query_x.shape[0], seed)
        return meta_step.meta_gradients(
            model, weights, parameters, loss, episode, masks=masks, **options
        )[1]

    for parameter, analytical in zip(parameters, gradient(), strict=True):
        start, direction = parameter.numpy(), rng.normal(size=parameter.shape)
        direction /= np.linalg.norm(direction)
        numerical = 0.0
        for sign in (1.0, -1.0):
            parameter.assign(start + sign * 1e-6 * direction)
            numerical += sign * value().numpy() / 2e-6
        parameter.assign(start)
        expected = np.sum(analytical * direction)
        assert numerical == pytest.approx(expected, rel=1e-5, abs=1e-5), parameter.path


@pytest.mark.parametrize("name", ["BatchNormalization", "LayerNormalization", "GroupNormalization"])
def test_stock_normalisation_is_still_wrong_to_second_order(name, rng):
    """The reason for our own classes. If this test fails, TensorFlow has fixed its layers."""
    options = {"groups": 2} if name == "GroupNormalization" else {}
    stock = getattr(keras.layers, name)(dtype="float64", **options)
    x = tf.constant(rng.normal(size=(4, 3, 3, 4)))
    call = (lambda x: stock(x, training=True)) if name == "BatchNormalization" else stock
    cotangent = tf.constant(rng.normal(size=call(x).shape) + 1.0)
    theoretical, numerical = tf.test.compute_gradient(
        lambda x: gradient_of_a_weighted_sum(call, x, cotangent), [x]
    )
    assert np.max(np.abs(theoretical[0] - numerical[0])) > 1e-3
