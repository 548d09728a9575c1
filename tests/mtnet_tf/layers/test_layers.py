"""Conformance of every public layer with Keras' habits, from one table."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import layers
from mtnet_tf.layers.fast_weights import FastWeightScope
from mtnet_tf.layers.tw_conv import TWConv
from support.layer_table import TABLE

ABSTRACT = {"TWLayer", "ExactNormalization"}
CELLS = [row for row in TABLE if issubclass(row[0], layers.TWLayer)]
each_layer = pytest.mark.parametrize(("cls", "arguments", "shape"), TABLE)
each_cell = pytest.mark.parametrize(("cls", "arguments", "shape"), CELLS)


def test_every_public_layer_is_in_the_table():
    public = [getattr(layers, name) for name in layers.__all__]
    public = {x for x in public if inspect.isclass(x) and issubclass(x, keras.layers.Layer)}
    public = {cls for cls in public if cls.__name__ not in ABSTRACT}
    assert public == {cls for cls, _, _ in TABLE}


@each_layer
def test_config_round_trip(cls, arguments, shape):
    layer = cls(**arguments)
    config = layer.get_config()
    assert cls.from_config(config).get_config() == config
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == config


@each_layer
def test_output_shape_is_what_is_announced(cls, arguments, shape, rng):
    layer = cls(**arguments)
    x = rng.normal(size=(6, *shape)).astype("float32")
    assert layer(x).shape == layer.compute_output_shape(x.shape)
    symbolic = keras.Input(shape)
    assert cls(**arguments)(symbolic).shape == (None, *layer(x).shape[1:])


@each_layer
def test_saved_model_gives_the_same_outputs(cls, arguments, shape, rng, tmp_path):
    model = keras.Sequential([keras.Input(shape), cls(**arguments)])
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, size=weight.shape))
    x = rng.normal(size=(6, *shape)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
@each_layer
def test_dtype_policies(cls, arguments, shape, dtype, rng):
    layer = cls(**arguments, dtype=dtype)
    outputs = layer(tf.constant(rng.normal(size=(6, *shape)), "float32"))
    expected = "float64" if dtype == "float64" else "float16"
    if cls is layers.MaskLogits and dtype != "float64":
        expected = "float32"  # masks multiply gradients, which have the variables' dtype
    assert outputs.dtype == expected


@each_cell
def test_cell_equals_keras_layer_followed_by_t(cls, arguments, shape, rng):
    layer = cls(**arguments, dtype="float64")
    x = tf.constant(rng.normal(size=(6, *shape)))
    layer(x)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    stock = getattr(keras.layers, cls.__name__.removeprefix("TW"))
    ours = ("mask", "transform", "activation")
    stock = stock(**{k: v for k, v in arguments.items() if k not in ours}, dtype="float64")
    stock.build(x.shape)
    values = [w.numpy() for w in (layer.kernel, layer.bias) if w is not None]
    values = [v.reshape(w.shape) for v, w in zip(values, stock.weights, strict=True)]
    stock.set_weights(values)
    expected = stock(x).numpy()
    if layer.transform is not None:
        expected = expected @ layer.transform.numpy()
    np.testing.assert_allclose(layer(x), layer.activation(expected), atol=1e-12)


@each_cell
def test_flattened_cell_equals_one_call_per_task(cls, arguments, shape, rng):
    layer = cls(**arguments, dtype="float64")
    x = tf.constant(rng.normal(size=(2 * 4, *shape)))
    layer(x)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    variables = [w.variable for w in layer.task_weights()]
    values = [tf.constant(rng.normal(size=(2, *v.shape))) for v in variables]
    with FastWeightScope(zip(variables, values, strict=True), num_tasks=2):
        flattened = layer(x)
    for task in range(2):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value[task])
        np.testing.assert_allclose(flattened[4 * task :][:4], layer(x[4 * task :][:4]), atol=1e-12)


@each_cell
def test_flattened_cell_without_fast_weights_uses_its_variables(cls, arguments, shape, rng):
    layer = cls(**arguments, dtype="float64")
    x = tf.constant(rng.normal(size=(8, *shape)))
    plain = layer(x)
    with FastWeightScope([], num_tasks=2):
        np.testing.assert_allclose(layer(x), plain, atol=1e-12)


@each_cell
def test_transform_starts_as_the_identity(cls, arguments, shape, rng):
    name = "depthwise" if cls is layers.TWDepthwiseConv2D else "kernel"
    with_t, without_t = (
        cls(**{**arguments, "transform": t, f"{name}_initializer": "ones"}) for t in (True, False)
    )
    x = rng.normal(size=(6, *shape)).astype("float32")
    np.testing.assert_allclose(with_t(x), without_t(x), rtol=1e-5, atol=1e-5)
    assert with_t.transform.shape == (3, 3)


def test_bias_alone_may_be_per_task(rng):
    layer = layers.TWDense(3, dtype="float64")
    x = tf.constant(rng.normal(size=(4, 2)))
    plain = layer(x)
    bias = tf.constant([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], tf.float64)
    with FastWeightScope([(layer.bias, bias)], num_tasks=2):
        np.testing.assert_allclose(layer(x) - plain, np.repeat(bias, 2, 0), atol=1e-12)


def test_unit_mask_is_shared_by_weights_and_bias_of_a_unit():
    layer = layers.TWDense(5)
    layer.build((None, 3))
    kernel, bias = layer.task_weights()
    assert kernel.mask_logits is bias.mask_logits
    assert kernel.mask_logits.logits.shape == (5,)


@pytest.mark.parametrize("mask", ["unit", "weight"])
def test_mask_logits_of_a_frozen_cell_are_frozen(mask):
    layer = layers.TWDense(3, mask=mask, trainable=False)
    layer.build((None, 2))
    assert not any(v.trainable for v in layer.variables)
    layer.trainable = True
    assert all(v.trainable for v in layer.variables)
    layer.trainable = False
    assert not any(v.trainable for v in layer.variables)


def test_weight_masks_have_an_entry_per_weight_and_per_bias():
    layer = layers.TWConv2D(5, 3, mask="weight")
    layer.build((None, 8, 8, 2))
    assert [w.mask_logits.logits.shape for w in layer.task_weights()] == [(3, 3, 2, 5), (5,)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_cells_train_like_ordinary_layers(kind, rng):
    x = rng.normal(size=(64, 8, 8, 1)).astype("float32")
    y = (x.mean((1, 2, 3)) > 0).astype("int32")
    cells = [
        layers.TWConv2D(8, 3, activation="relu"),
        keras.layers.Flatten(),
        layers.TWDense(2, mask="weight"),
    ]
    if kind == "sequential":
        model = keras.Sequential([keras.Input((8, 8, 1)), *cells])
    else:
        inputs = outputs = keras.Input((8, 8, 1))
        for cell in cells:
            outputs = cell(outputs)
        model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    losses = model.fit(x, y, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert not np.any(cells[0].kernel_mask.logits.numpy())
    assert np.any(cells[0].transform.numpy() != np.eye(8))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.TWDense(0), "`units` must be a positive integer. Received: units=0"),
        (lambda: layers.TWDense(3, mask="row"), "`mask` must be .* Received: mask='row'"),
        (lambda: layers.TWDense(3, temperature=0), "`temperature` must be positive"),
        (lambda: layers.TWConv2D(3, 0), "`kernel_size` must be a positive integer or a pair"),
        (lambda: layers.TWConv2D(3, 3, padding="full"), "`padding` must be 'valid' or 'same'"),
        (lambda: layers.TWConv2D(3, 3, strides=2, dilation_rate=2), "cannot both be above 1"),
        (lambda: layers.TWConv2D(3, 3, groups=2), "`filters` must be a multiple of `groups`"),
        (lambda: layers.TWConv1D(4, 3, groups=2).build((None, 8, 3)), "input channels must be a"),
        (lambda: layers.ExactGroupNormalization(0), "`groups` must be a positive integer, or -1"),
        (lambda: layers.ExactGroupNormalization(2)(np.ones((2, 3))), "must be a multiple"),
        (lambda: layers.TWDense(3).build((None, None)), "last axis .* must be known"),
        (lambda: layers.TWConv2D(3, 3).build((None, 8, 8, None)), "channel axis .* must be known"),
        (lambda: layers.BlockMaxPooling2D()(keras.Input((None, 8, 3))), "must be known"),
        (lambda: keras.Sequential([keras.Input((4,)), layers.TWDense(3)])(np.ones((2, 5))), "axis"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_batch_normalisation_uses_the_statistics_of_each_task(rng):
    layer = layers.TaskBatchNormalization(dtype="float64")
    x = tf.constant(rng.normal(size=(8, 3, 3, 2)) * np.arange(1, 9)[:, None, None, None])
    layer(x)
    layer.beta.assign([1.0, -1.0])
    with FastWeightScope([], num_tasks=2):
        y = layer(x).numpy() - [1.0, -1.0]
    for half in (slice(0, 4), slice(4, 8)):
        part = x.numpy()[half]
        expected = (part - part.mean((0, 1, 2))) / np.sqrt(part.var((0, 1, 2)) + 1e-3)
        np.testing.assert_allclose(y[half], expected, atol=1e-12)


def test_layer_normalisation_is_per_example_over_space_and_channels(rng):
    layer = layers.ExactLayerNormalization(dtype="float64")
    x = tf.constant(rng.normal(size=(5, 3, 3, 2)))
    layer(x)
    layer.gamma.assign([2.0, 3.0])
    layer.beta.assign([1.0, -1.0])
    mean, var = x.numpy().mean((1, 2, 3), keepdims=True), x.numpy().var((1, 2, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(var + 1e-12) * [2.0, 3.0] + [1.0, -1.0]
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)


STOCK = {
    layers.TaskBatchNormalization: keras.layers.BatchNormalization,
    layers.ExactLayerNormalization: keras.layers.LayerNormalization,
    layers.ExactGroupNormalization: keras.layers.GroupNormalization,
}
STAND_INS = [
    (cls, arguments, shape)
    for cls, arguments, shape in TABLE
    if cls is layers.ExactGroupNormalization
    or (cls is layers.ExactLayerNormalization and "axis" in arguments)
    or (cls is layers.TaskBatchNormalization and {"frozen", "moving_statistics"} & set(arguments))
]


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
@pytest.mark.parametrize(("cls", "arguments", "shape"), STAND_INS)
def test_normalisation_gives_the_bits_of_the_layer_it_stands_in_for(cls, arguments, shape, rng):
    ours = cls(**arguments, dtype="float64")
    common = ("axis", "epsilon", "center", "scale", "groups", "rms_scaling", "dtype")
    stock = STOCK[cls](**{k: v for k, v in ours.get_config().items() if k in common})
    x = tf.constant(rng.normal(size=(6, *shape)) + 1.0)
    for layer in (ours, stock):
        layer.build(x.shape)
    values = [rng.uniform(0.5, 1.5, size=w.shape) for w in ours.weights]
    assert [w.shape for w in stock.weights] == [v.shape for v in values]
    for layer in (ours, stock):
        layer.set_weights(values)
    # Keras computes the variance of this deprecated option in yet another way.
    tolerance = 1e-14 if "rms_scaling" in arguments else 0.0
    np.testing.assert_allclose(ours(x), stock(x), rtol=tolerance, atol=tolerance)


def test_frozen_statistics_hold_inside_the_meta_step_and_moving_ones_do_not(rng):
    x = tf.constant(rng.normal(size=(8, 3, 3, 2)))
    values = [rng.uniform(0.5, 1.5, size=2) for _ in range(3)]
    frozen = layers.TaskBatchNormalization(frozen=True, dtype="float64")
    moving = layers.TaskBatchNormalization(moving_statistics=True, dtype="float64")
    plain = layers.TaskBatchNormalization(dtype="float64")
    for layer, count in ((frozen, 3), (moving, 3), (plain, 1)):
        layer(x)
        layer.set_weights(values[:count])
    np.testing.assert_array_equal(frozen(x), moving(x))
    np.testing.assert_array_equal(moving(x, training=True), plain(x))
    with FastWeightScope([], num_tasks=2):
        np.testing.assert_array_equal(moving(x), plain(x))
        inside = frozen(x)
    np.testing.assert_array_equal(inside, frozen(x))


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2, -3])
def test_batch_normalisation_along_another_axis_is_that_of_the_transposed_inputs(axis, rng):
    layer = layers.TaskBatchNormalization(axis=axis, dtype="float64")
    last = layers.TaskBatchNormalization(dtype="float64")
    x = rng.normal(size=(4, 3, 5, 6))
    with FastWeightScope([], num_tasks=2):
        found = layer(tf.constant(x))
        expected = np.moveaxis(last(tf.constant(np.moveaxis(x, axis, -1))), -1, axis)
    np.testing.assert_array_equal(found, expected)


def test_block_max_pooling_equals_keras(rng):
    x = rng.normal(size=(2, 7, 6, 3)).astype("float32")
    ours, stock = layers.BlockMaxPooling2D(2), keras.layers.MaxPooling2D(2)
    np.testing.assert_array_equal(ours(x), stock(x))


INTEGERS = [
    (layers.TWDense, {"units": 3}),
    (layers.TWConv1D, {"filters": 3, "kernel_size": 2, "strides": 1, "dilation_rate": 2}),
    (layers.TWConv2D, {"filters": 4, "kernel_size": 2, "strides": 2, "groups": 2}),
    (layers.TWDepthwiseConv2D, {"kernel_size": 2, "depth_multiplier": 2}),
    (layers.ExactGroupNormalization, {"groups": 2, "axis": 1}),
    (layers.ExactLayerNormalization, {"axis": 1}),
    (layers.TaskBatchNormalization, {"axis": 1}),
    (layers.BlockMaxPooling2D, {"pool_size": 2, "strides": 2}),
]


@pytest.mark.parametrize(("cls", "arguments"), INTEGERS)
def test_numpy_integers_are_stored_as_integers(cls, arguments):
    given = {name: np.int64(value) for name, value in arguments.items()}
    config = cls(name="layer", **given).get_config()
    assert config == cls(name="layer", **arguments).get_config()
    json.dumps([config[name] for name in arguments])  # NumPy integers cannot be encoded


@pytest.mark.parametrize(("cls", "arguments"), INTEGERS)
def test_what_is_not_an_integer_is_rejected_under_the_name_of_the_argument(cls, arguments):
    for name in arguments:
        for wrong in (True, np.True_, 1.5, "2"):
            with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
                cls(**{**arguments, name: wrong})


@pytest.mark.parametrize("shape", [(3, -1), (1.5,), (True, 2), 3, "34", None])
def test_a_wrong_shape_of_masks_is_stated_as_a_whole(shape):
    with pytest.raises(ValueError, match="`shape` must contain only integers") as caught:
        layers.MaskLogits(shape)
    assert str(caught.value).endswith(f"Received: shape={shape}.")
    assert layers.MaskLogits([np.int64(3), 0]).shape == (3, 0)


def test_pairs_of_numpy_integers_are_accepted():
    layer = layers.TWConv2D(np.int32(3), (np.int64(3), np.int64(2)), strides=[np.int64(1), 2])
    assert (layer.units, layer.kernel_size, layer.strides) == (3, (3, 2), (1, 2))
    assert layers.BlockMaxPooling2D((np.int64(2), 2)).pool_size == 2
    assert layers.ExactLayerNormalization([np.int64(2), 1]).axis == [1, 2]


class Diagonal(layers.TWLayer):
    """`activation((x * w + b) T)`: a user's layer, as CONTRIBUTING.md describes it."""

    def _kernel_shape(self, input_shape):
        return (self.units,)

    def _linear(self, inputs):
        return inputs * tf.convert_to_tensor(self.kernel)

    def _rows(self, inputs):
        return inputs

    def _cell(self, rows, kernel, bias, transform):
        return super()._cell(rows * kernel, None, bias, transform)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Plain(layers.TWLayer):
    """A layer with its own constructor, which gives the units only."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)

    def _kernel_shape(self, input_shape):
        return (input_shape[-1], self.units)

    def _linear(self, inputs):
        return inputs @ tf.convert_to_tensor(self.kernel)

    def _rows(self, inputs):
        return inputs


class Convolution(TWConv):
    """A convolution with its own constructor."""

    def __init__(self, filters, **kwargs):
        super().__init__(filters, 3, **kwargs)


@pytest.mark.parametrize("make", [lambda: Diagonal(4), lambda: Plain(3)])
def test_layer_of_a_user_has_the_defaults_and_adapts(make, rng):
    layer = make()
    layer.build((None, 4))
    layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    x = rng.normal(size=(6, 4)).astype("float32")
    expected = layer(x)
    np.testing.assert_array_equal(layer.transform, np.eye(layer.units))
    kernel = layer.kernel.value
    kernels = tf.stack([kernel, 2 * kernel])  # [B, *shape]
    with layers.FastWeightScope([(layer.kernel, kernels)], num_tasks=2):
        found = layer(x)
    np.testing.assert_allclose(found[:3], expected[:3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[3:], 2 * expected[3:], rtol=1e-5, atol=1e-6)


def test_defaults_of_the_abstract_cells_are_those_of_the_public_ones():
    def defaults(cls):
        found = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in found if p.default is not p.empty}

    assert defaults(layers.TWLayer) == defaults(layers.TWDense)
    own = {**defaults(layers.TWLayer), **defaults(TWConv)}
    assert own == {**defaults(layers.TWConv2D), "strides": 1, "dilation_rate": 1}
    assert Convolution(4, padding="same")(np.ones((2, 5, 5, 1))).shape == (2, 5, 5, 4)


def test_depthwise_keywords_of_version_0_1_0_are_accepted_with_a_warning():
    with pytest.warns(DeprecationWarning) as warned:
        layer = layers.TWDepthwiseConv2D(
            3, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.5)
        )
    assert [str(w.message) for w in warned] == [
        "`kernel_initializer` is now `depthwise_initializer`.",
        "`kernel_regularizer` is now `depthwise_regularizer`.",
    ]
    assert {Path(w.filename).name for w in warned} == {Path(__file__).name}
    assert isinstance(layer.kernel_initializer, keras.initializers.Ones)
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L2)
    config = layer.get_config()
    assert "kernel_initializer" not in config
    for kind in ("initializer", "regularizer"):  # as version 0.1.0 saved it, without a warning
        config[f"kernel_{kind}"] = config.pop(f"depthwise_{kind}")
    del config["depthwise_constraint"]
    loaded = layers.TWDepthwiseConv2D.from_config(config)
    assert isinstance(loaded.kernel_initializer, keras.initializers.Ones)
    assert isinstance(loaded.kernel_regularizer, keras.regularizers.L2)
