"""Our layers take the arguments of Keras' layers and pass Keras' own layer test."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src import backend
from keras.src.testing import TestCase

from mtnet_tf import layers
from support.layer_table import TABLE

STOCK = {
    layers.TWDense: keras.layers.Dense,
    layers.TWConv1D: keras.layers.Conv1D,
    layers.TWConv2D: keras.layers.Conv2D,
    layers.TWDepthwiseConv2D: keras.layers.DepthwiseConv2D,
    layers.ExactLayerNormalization: keras.layers.LayerNormalization,
    layers.ExactGroupNormalization: keras.layers.GroupNormalization,
    layers.TaskBatchNormalization: keras.layers.BatchNormalization,
    layers.BlockMaxPooling2D: keras.layers.MaxPooling2D,
    layers.ExactResizing: keras.layers.Resizing,
    layers.ExactUpSampling2D: keras.layers.UpSampling2D,
}
# Two abstract classes, and the masks.
WITHOUT_COUNTERPART = {layers.TWLayer, layers.ExactNormalization, layers.MaskLogits}
# Arguments of Keras' Dense for fine-tuning and quantisation, which have no meaning here.
LEFT_OUT = {"lora_rank", "lora_alpha", "quantization_config"}
# Batch renormalisation, in Keras 3.15 and later, is defined by moving averages.
LEFT_OUT |= {"renorm", "renorm_clipping", "renorm_momentum"}
# The authors' code normalises over all axes, with this epsilon, and its batch normalisation has no
# scale.
OTHER_DEFAULTS = {(layers.ExactLayerNormalization, "axis"): None}
OTHER_DEFAULTS[layers.ExactLayerNormalization, "epsilon"] = 1e-12
OTHER_DEFAULTS[layers.TaskBatchNormalization, "scale"] = False
# Arguments that accept only Keras' default, or what means the same.
UNSUPPORTED = [
    (layers.TWConv2D, {"filters": 4, "kernel_size": 3, "data_format": "channels_first"}),
    (layers.TaskBatchNormalization, {"momentum": 0.9}),
    (layers.TaskBatchNormalization, {"synchronized": True}),
    (layers.BlockMaxPooling2D, {"pool_size": (2, 3)}),
    (layers.BlockMaxPooling2D, {"strides": 1}),
    (layers.BlockMaxPooling2D, {"strides": (2, 1)}),
    (layers.BlockMaxPooling2D, {"padding": "same"}),
    (layers.BlockMaxPooling2D, {"data_format": "channels_first"}),
]


def parameters(cls):
    """The explicit parameters of a constructor, without `self` and `**kwargs`."""
    found = inspect.signature(cls.__init__).parameters.values()
    return [p for p in found if p.name != "self" and p.kind != p.VAR_KEYWORD]


def test_every_public_layer_is_compared_with_its_counterpart():
    public = [getattr(layers, name) for name in layers.__all__]
    public = {x for x in public if isinstance(x, type) and issubclass(x, keras.layers.Layer)}
    assert public == {*STOCK, *WITHOUT_COUNTERPART}


@pytest.mark.parametrize("ours", STOCK)
def test_the_first_arguments_are_those_of_keras(ours):
    stock = [p for p in parameters(STOCK[ours]) if p.name not in LEFT_OUT]
    positional = [p for p in parameters(ours) if p.kind == p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional] == [p.name for p in stock]
    for own, theirs in zip(positional, stock, strict=True):
        expected = OTHER_DEFAULTS.get((ours, own.name), theirs.default)
        assert own.default == expected, own.name


@pytest.mark.parametrize("ours", [cls for cls in STOCK if issubclass(cls, layers.TWLayer)])
def test_our_own_arguments_are_keyword_only(ours):
    own = {p.name for p in parameters(ours) if p.kind == p.KEYWORD_ONLY}
    assert own == {
        *("transform", "mask", "temperature", "hard_mask", "transform_initializer"),
        *("mask_initializer", "transform_regularizer", "transform_constraint"),
    }


def test_layers_are_created_like_keras_layers():
    dense, convolution = layers.TWDense(40, "relu"), layers.TWConv2D(64, 3, 2, "same")
    assert (dense.units, dense.activation) == (40, keras.activations.relu)
    assert (convolution.units, convolution.kernel_size) == (64, (3, 3))
    assert (convolution.strides, convolution.padding) == ((2, 2), "same")
    pooling = layers.BlockMaxPooling2D((2, 2), 2, "valid", "channels_last", "pooling")
    assert (pooling.pool_size, pooling.name) == (2, "pooling")


@pytest.mark.parametrize(("cls", "arguments", "shape"), TABLE)
@pytest.mark.filterwarnings("ignore")  # Keras' test compares with loose options of its own
def test_keras_layer_test_passes(cls, arguments, shape):
    TestCase().run_layer_test(
        cls,
        init_kwargs=arguments,
        input_shape=(4, *shape),
        supports_masking=cls(**arguments).supports_masking,
        # The input of `MaskLogits` is noise, and no network is trained through it.
        run_training_check=cls is not layers.MaskLogits,
        run_mixed_precision_check=False,
    )


REQUIRED = {
    layers.TWDense: {"units": 3},
    layers.TWConv1D: {"filters": 3, "kernel_size": 2},
    layers.TWConv2D: {"filters": 3, "kernel_size": 2},
    layers.TWDepthwiseConv2D: {"kernel_size": 2},
    layers.ExactLayerNormalization: {"axis": -1, "epsilon": 1e-3},
    layers.ExactGroupNormalization: {"groups": 2},
    layers.TaskBatchNormalization: {"scale": True},
    layers.BlockMaxPooling2D: {},
    layers.ExactResizing: {"height": 3, "width": 5},
    layers.ExactUpSampling2D: {"interpolation": "bilinear"},
}


def same_layers(ours, dtype, shape):
    """Our layer and Keras' layer with the same weights."""
    own = {"moving_statistics": True} if ours is layers.TaskBatchNormalization else {}
    pair = ours(**REQUIRED[ours], **own, dtype=dtype), STOCK[ours](**REQUIRED[ours], dtype=dtype)
    for layer in pair:
        layer.build((None, *shape))
    random = np.random.default_rng(0)
    values = [random.uniform(0.5, 1.5, size=w.shape) for w in pair[1].weights]
    cell = isinstance(pair[0], layers.TWLayer)
    weights = [w.variable for w in pair[0].task_weights()] if cell else pair[0].weights
    for variable, value in zip(weights, values, strict=True):
        variable.assign(value.reshape(variable.shape))
    pair[1].set_weights(values)
    return pair


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
@pytest.mark.parametrize("ours", STOCK)
def test_time_step_masks_are_passed_on_as_by_keras(ours, rng):
    shape = (4, 4) if ours in (layers.TWDense, layers.TWConv1D) else (4, 4, 4)
    x = tf.constant(rng.normal(size=(6, *shape)), tf.float32)
    backend.set_keras_mask(x, tf.constant(rng.random((6, *shape[:-1])) < 0.5))
    layer, stock = same_layers(ours, "float32", shape)
    assert layer.supports_masking == stock.supports_masking
    with layers.FastWeightScope([], num_tasks=2):
        inside = layer(x)
    expected = backend.get_keras_mask(stock(x))
    for outputs in (layer(x), inside):
        found = backend.get_keras_mask(outputs)
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("axis", [-1, 1])
def test_masked_steps_do_not_count_in_the_statistics_of_a_batch(axis, rng):
    ours = layers.TaskBatchNormalization(axis=axis, dtype="float64")
    stock = keras.layers.BatchNormalization(axis=axis, scale=False, dtype="float64")
    x, mask = rng.normal(size=(6, 4, 3)) + 2, rng.random((6, 4)) < 0.5
    mask[0] = True
    expected = stock(x, mask=mask, training=True)
    # Keras adds 1e-7 to the number of steps.
    np.testing.assert_allclose(ours(x, mask=mask), expected, rtol=1e-6, atol=1e-6)


def test_masked_steps_do_not_count_in_the_statistics_of_a_task(rng):
    layer = layers.TaskBatchNormalization(dtype="float64")
    x, mask = rng.normal(size=(4, 5, 3)), rng.random((4, 5)) < 0.6
    mask[3] = False
    x[3] = np.inf  # an example that is masked altogether
    statistics = layers.SetStatistics()
    with layers.FastWeightScope([], num_tasks=2, statistics=statistics):
        found = layer(x, mask=mask)
    ((mean, variance),) = statistics.recorded
    for task in (slice(0, 2), slice(2, 4)):
        counted = x[task][mask[task]]
        index = task.start // 2
        np.testing.assert_allclose(mean[index, 0], counted.mean(0), rtol=1e-12)
        np.testing.assert_allclose(variance[index, 0], counted.var(0), rtol=1e-12)
        expected = (counted - counted.mean(0)) / np.sqrt(counted.var(0) + 1e-3)
        np.testing.assert_allclose(found[task][mask[task]], expected, rtol=1e-10, atol=1e-12)


def test_a_set_that_is_masked_altogether_gives_finite_outputs_and_gradients(rng):
    layer = layers.TaskBatchNormalization()
    x = tf.constant(rng.normal(size=(2, 3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, mask=tf.zeros([2, 3], tf.bool))
    assert np.isfinite(y).all() and np.isfinite(tape.gradient(y, x)).all()


def test_a_mask_of_another_rank_is_one_clear_error(rng):
    with pytest.raises(ValueError, match="`mask` must have one axis fewer .* Received: mask of"):
        layers.TaskBatchNormalization()(np.ones((2, 3, 4)), mask=np.ones((2, 3, 4)))


DTYPES = [
    *(("uint8", "float32"), ("int32", "float32"), ("bool", "float32"), ("float64", "float32")),
    *(("int64", "float64"), ("uint8", "mixed_float16")),
]


REJECT_BOOLS = (layers.BlockMaxPooling2D, layers.ExactResizing, layers.ExactUpSampling2D)


@pytest.mark.parametrize(
    ("ours", "dtype", "policy"),
    [
        (ours, *dtypes)
        for ours in STOCK
        for dtypes in DTYPES
        # Keras rejects them, too.
        if dtypes[0] != "bool" or ours not in REJECT_BOOLS
    ],
)
def test_inputs_of_any_dtype_are_cast_as_by_keras(ours, dtype, policy, rng):
    shape = (4, 4) if ours in (layers.TWDense, layers.TWConv1D) else (4, 4, 4)
    x = rng.integers(0, 2 if dtype == "bool" else 9, size=(6, *shape)).astype(dtype)
    layer, stock = same_layers(ours, policy, shape)
    # Keras' convolutions reject integers, and its layer and group normalisation round for them.
    exact = ours in (
        *(layers.TWDense, layers.TaskBatchNormalization, layers.BlockMaxPooling2D),
        *(layers.ExactResizing, layers.ExactUpSampling2D),
    )
    expected = stock(x if exact else x.astype("float32"))
    inputs = keras.Input(shape, dtype=dtype)
    results = [layer(x), keras.Model(inputs, layer(inputs))(x)]
    with layers.FastWeightScope([], num_tasks=2):
        inside = layer(x)
    assert inside.dtype == expected.dtype
    if ours is not layers.TaskBatchNormalization:  # which uses the statistics of the task inside
        results.append(inside)
    tolerance = 5e-3 if policy == "mixed_float16" else 1e-5
    for found in results:
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("name", ["kernel", "bias", "transform"])
def test_constraints_hold_after_training_and_saving(name, rng, tmp_path):
    constraint = {f"{name}_constraint": keras.constraints.NonNeg()}
    model = keras.Sequential([keras.Input((3,)), layers.TWDense(2, **constraint)])
    model.compile(keras.optimizers.SGD(1.0), "mean_squared_error")
    x = rng.normal(size=(16, 3)).astype("float32")
    model.fit(x, -10 * np.abs(rng.normal(size=(16, 2))), verbose=0)
    assert np.all(getattr(model.layers[0], name).numpy() >= 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    assert isinstance(getattr(loaded, f"{name}_constraint"), keras.constraints.NonNeg)


@pytest.mark.parametrize(("cls", "arguments"), UNSUPPORTED)
def test_what_layers_cannot_do_is_one_clear_error(cls, arguments):
    name = list(arguments)[-1]
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        cls(**arguments)


def test_batch_renormalisation_is_an_error_of_keras():
    with pytest.raises(ValueError, match="renorm"):
        layers.TaskBatchNormalization(renorm=True)


def test_moving_statistics_start_with_their_initializers():
    initial = {"moving_mean_initializer": "ones", "moving_variance_initializer": "zeros"}
    layer = layers.TaskBatchNormalization(moving_statistics=True, **initial)
    layer = layers.TaskBatchNormalization.from_config(layer.get_config())
    layer.build((None, 3))
    np.testing.assert_array_equal(layer.moving_mean, np.ones(3))
    np.testing.assert_array_equal(layer.moving_variance, np.zeros(3))
