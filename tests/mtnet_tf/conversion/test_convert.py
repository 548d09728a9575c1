"""A converted model computes what the stock model computes, and so does the folded one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import MetaLearner, fold, layers, to_mtnet
from mtnet_tf._keras import flatten_layers
from mtnet_tf.conversion.rebuilding import finalize_statistics
from mtnet_tf.layers.fast_weights import FastWeightScope

K = keras.layers


def dense_network():
    return keras.Sequential(
        [
            keras.Input((12,)),
            K.Dense(8, activation="gelu"),
            K.LayerNormalization(),
            K.Dense(3, activation="softmax"),
        ]
    )


def sequence_network():
    return keras.Sequential(
        [
            keras.Input((16, 3)),
            K.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
            K.Conv1D(6, 3, strides=2, padding="same", use_bias=False),
            K.GroupNormalization(3),
            K.Dense(5),
            K.GlobalAveragePooling1D(),
            K.Dense(2),
        ]
    )


def separable_network():
    """Functional, with operations, a nested model and layers called twice."""
    images = keras.Input((16, 16, 3))
    block = keras.Sequential([K.Conv2D(6, 3, padding="same"), K.BatchNormalization(), K.ReLU()])
    x = K.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, activation="relu")(images)
    x = block(x) + K.Conv2D(6, 1)(x)
    x = K.MaxPooling2D()(block(x))
    x = K.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
    x = K.LayerNormalization(axis=[1, 2])(x)
    dense = K.Dense(4, activation="tanh")
    x = dense(dense(K.Dense(4)(K.Flatten()(x))))
    return keras.Model(images, K.Dense(3, activation="softmax")(x))


def convnext_network():
    """One block of ConvNeXt (Liu et al., 2022), whose depthwise convolution has groups."""
    images = keras.Input((12, 12, 3))
    x = K.LayerNormalization(epsilon=1e-6)(K.Conv2D(6, 4, strides=4)(images))
    y = K.Conv2D(6, 3, padding="same", groups=6)(x)
    y = K.Dense(12, activation="gelu")(K.LayerNormalization(epsilon=1e-6)(y))
    x = K.GlobalAveragePooling2D()(x + K.Dense(6)(y))
    return keras.Model(images, K.Dense(3)(K.LayerNormalization(epsilon=1e-6)(x)))


def alexnet_network():
    """AlexNet's order of layers, with convolutions in two groups."""
    return keras.Sequential(
        [
            keras.Input((19, 19, 3)),
            K.Conv2D(4, 5, strides=2, activation="relu"),
            K.MaxPooling2D(2),
            K.Conv2D(6, 3, padding="same", groups=2, activation="relu"),
            K.Conv2D(6, 3, groups=2, use_bias=False),
            K.Flatten(),
            K.Dense(8, activation="relu"),
            K.Dense(3, activation="softmax"),
        ]
    )


def standardized_network():
    """A network whose first layer has statistics of data."""
    standardize = K.Normalization()
    standardize.adapt(np.random.default_rng(3).normal(5.0, 3.0, size=(64, 4)))
    return keras.Sequential([keras.Input((4,)), standardize, K.Dense(3)])


def application(name, **options):
    def make():
        network = getattr(keras.applications, name)
        return network(
            input_shape=(32, 32, 3),
            weights=None,
            classes=5,
            classifier_activation=None,
            **options,
        )

    return make


slow = pytest.mark.slow
MODELS = {
    "dense": dense_network,
    "sequence": sequence_network,
    "separable": separable_network,
    "standardized": standardized_network,
    "convnext": convnext_network,
    "alexnet": alexnet_network,
    "MobileNetV2": application("MobileNetV2", alpha=0.35),
    "ResNet50": application("ResNet50"),
    "MobileNetV3Small": application("MobileNetV3Small"),
    "EfficientNetB0": application("EfficientNetB0"),
    "DenseNet121": application("DenseNet121"),
    "ConvNeXtTiny": application("ConvNeXtTiny"),
}
SMALL = ("dense", "sequence", "separable", "standardized", "convnext", "alexnet")
LIGHT = (*SMALL, "MobileNetV2")


def cases(light, tolerances):
    """Every model in both dtypes, most of the large ones as slow tests."""
    # XLA compiles each call of a grouped convolution, which takes long in float64.
    is_slow = [(n, t) for n in MODELS for t in tolerances if n not in light]
    is_slow.append(("convnext", "float64"))
    return [
        pytest.param(name, dtype, tolerance, marks=slow if (name, dtype) in is_slow else [])
        for name in MODELS
        for dtype, tolerance in tolerances.items()
    ]


@pytest.fixture
def policy():
    """Function that sets the dtype of the layers created next."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def randomize(model, seed=0):
    """Random weights and moving statistics of a size that keeps the signal alive."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        shape = variable.shape
        if not variable.dtype.startswith("float"):
            continue
        if len(shape) == 1:
            variable.assign(random.uniform(0.5, 1.5, size=shape))
        else:
            variable.assign(random.normal(size=shape) / np.sqrt(np.prod(shape[:-1])))
    finalize_statistics(model)
    return model


def trained(name, dtype, policy):
    policy(dtype)
    model = randomize(MODELS[name]())
    x = np.random.default_rng(1).normal(size=(3, *model.input_shape[1:])).astype(dtype)
    return model, tf.constant(x)


def change_transforms(model, seed=2):
    """As if the transforms had been meta-trained."""
    random = np.random.default_rng(seed)
    for layer in flatten_layers(model):
        if isinstance(layer, layers.TWLayer) and layer.transform is not None:
            noise = random.normal(size=layer.transform.shape) / layer.units
            layer.transform.assign(layer.transform + noise)
    return model


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"), cases(LIGHT, {"float64": 0.0, "float32": 1e-5})
)
def test_converted_and_folded_model_give_the_same_outputs(name, dtype, tolerance, policy):
    model, x = trained(name, dtype, policy)
    expected = model(x).numpy()
    assert np.std(expected) > 1e-3
    converted = to_mtnet(model, check_outputs=False)
    np.testing.assert_allclose(converted(x), expected, rtol=tolerance, atol=tolerance)
    assert not any(isinstance(x, K.Dense | K.Conv2D) for x in flatten_layers(converted))
    folded = fold(converted, check_outputs=False)
    np.testing.assert_allclose(folded(x), expected, rtol=tolerance, atol=tolerance)
    assert not any(type(x).__module__.startswith("mtnet_tf") for x in flatten_layers(folded))


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"), cases(SMALL, {"float64": 1e-12, "float32": 1e-5})
)
def test_folding_merges_any_transform(name, dtype, tolerance, policy):
    model, x = trained(name, dtype, policy)
    converted = change_transforms(to_mtnet(model, check_outputs=False))
    expected = converted(x).numpy()
    assert np.max(np.abs(expected - model(x))) > 1e-3
    scale = np.max(np.abs(expected))
    folded = fold(converted, check_outputs=False)
    np.testing.assert_allclose(folded(x), expected, rtol=0, atol=tolerance * max(1, scale))


@pytest.mark.parametrize("name", SMALL)
def test_weights_of_converted_and_folded_models_are_their_own(name, policy):
    model, x = trained(name, "float32", policy)
    converted = to_mtnet(model)
    folded, expected = fold(converted), model(x).numpy()
    for variable in [*converted.variables, *folded.variables]:
        variable.assign(keras.ops.zeros_like(variable))
    np.testing.assert_array_equal(model(x), expected)


def test_converted_model_is_saved_and_loaded(policy, tmp_path):
    model, x = trained("separable", "float32", policy)
    converted = change_transforms(to_mtnet(model, mask="weight"))
    converted.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "model.keras")(x), converted(x)
    )


@pytest.mark.parametrize(
    ("options", "num_transforms", "num_masked"),
    [
        ({}, 2, 2),
        ({"mask": None}, 2, 0),
        ({"transform": False}, 0, 2),
        ({"transform": False, "mask": None}, 0, 0),
    ],
)
def test_options_choose_the_method(options, num_transforms, num_masked):
    cells = [
        x for x in to_mtnet(dense_network(), **options).layers if isinstance(x, layers.TWLayer)
    ]
    assert sum(x.transform is not None for x in cells) == num_transforms
    assert sum(x.kernel_mask is not None for x in cells) == num_masked


def test_layers_chosen_by_name_instance_or_predicate_adapt_and_no_others():
    model = dense_network()
    head = model.layers[-1]
    for chosen in ([head.name], [head], lambda layer: layer is head):
        converted = to_mtnet(model, layers=chosen)
        kinds = [type(x) for x in converted.layers]
        assert kinds == [K.Dense, layers.ExactLayerNormalization, layers.TWDense]


def test_nested_model_stands_for_its_layers():
    inner = keras.Sequential([keras.Input((4,)), K.Dense(3), K.Dense(3)], name="inner")
    model = keras.Sequential([keras.Input((4,)), inner, K.Dense(2)])
    converted = to_mtnet(model, layers=["inner"])
    kinds = [type(x) for x in [*converted.layers[0].layers, converted.layers[1]]]
    assert kinds == [layers.TWDense, layers.TWDense, K.Dense]


def test_statistics_of_a_converted_batch_normalisation(rng):
    """Moving statistics outside tasks; within tasks those of the task, unless they are frozen."""
    model = randomize(keras.Sequential([keras.Input((4,)), K.BatchNormalization(), K.Dense(2)]))
    x = tf.constant(rng.normal(size=(6, 4)), tf.float32)
    expected = model(x)
    free, frozen = to_mtnet(model), to_mtnet(model, frozen_statistics=True)
    model.layers[0].trainable = False
    was_frozen = to_mtnet(model)
    with FastWeightScope([], num_tasks=2):
        for converted in (frozen, was_frozen):
            np.testing.assert_allclose(converted(x), expected, rtol=1e-5, atol=1e-5)
        assert np.max(np.abs(free(x) - expected)) > 0.1
    np.testing.assert_allclose(free(x), expected, rtol=1e-5, atol=1e-5)


def test_converted_model_is_meta_trained(rng):
    stock = [K.DepthwiseConv2D(3), K.BatchNormalization(), K.ReLU(), K.Flatten(), K.Dense(3)]
    model = to_mtnet(keras.Sequential([keras.Input((5, 5, 2)), *stock]))
    learner = MetaLearner(model, step_size=0.05)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    x = rng.normal(size=(2, 2, 6, 5, 5, 2)).astype("float32")
    y = np.tile(np.arange(6) % 3, (2, 2, 1))
    episodes = tf.data.Dataset.from_tensors(((x[0], y[0]), (x[1], y[1]))).repeat(2)
    before = model.get_weights()
    learner.fit(episodes, verbose=0)
    for variable, start in zip(model.variables, before, strict=True):
        assert np.any(variable.numpy() != start) == variable.trainable, variable.path


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def separable(constraint):
    layer = K.SeparableConv2D(4, 3, depthwise_constraint=constraint, pointwise_constraint="non_neg")
    return keras.Sequential([keras.Input((8, 8, 4)), layer])


def test_constraints_are_converted_and_folded():
    limit = keras.constraints.MaxNorm(0.5, axis=[0, 1])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            K.Conv2D(4, 3, kernel_constraint=limit, bias_constraint="non_neg"),
            K.DepthwiseConv2D(3, depthwise_constraint=limit, depthwise_regularizer="l2"),
        ]
    )
    converted = to_mtnet(model, transform_constraint="unit_norm")
    for cell in converted.layers:
        assert cell.kernel_constraint.max_value == 0.5
        assert isinstance(cell.transform_constraint, keras.constraints.UnitNorm)
    convolution, depthwise = fold(converted).layers
    assert convolution.kernel_constraint.max_value == 0.5
    assert isinstance(convolution.bias_constraint, keras.constraints.NonNeg)
    assert depthwise.depthwise_constraint.max_value == 0.5
    assert isinstance(depthwise.depthwise_regularizer, keras.regularizers.L2)


def test_a_separable_convolution_keeps_the_constraints_of_both_kernels():
    depthwise, pointwise = to_mtnet(separable(keras.constraints.MaxNorm(0.5))).layers[0].layers
    assert depthwise.kernel_constraint.max_value == 0.5
    assert isinstance(pointwise.kernel_constraint, keras.constraints.NonNeg)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, "must be a Sequential or functional .* Received: .* Subclassed"),
        (lambda: keras.Sequential([K.Dense(3)]), "must be built. Received: .*keras.Input"),
        (lambda: None, "must be a Keras model. Received: an object of class NoneType"),
    ],
)
def test_models_that_cannot_be_converted(make, message):
    with pytest.raises(ValueError, match=message):
        to_mtnet(make())


def unbuilt_pooling():
    images = keras.Input((None, None, 2))
    x = K.MaxPooling2D(name="layer")(images)
    return keras.Model(images, K.GlobalAveragePooling2D()(x))


def quantized():
    model = keras.Sequential([keras.Input((4,)), K.Dense(3, name="layer")])
    model.layers[0].quantize("int8")
    return model


def adapted_by_lora():
    model = keras.Sequential([keras.Input((4,)), K.Dense(3, name="layer")])
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 3)))
    return model


def one_layer(shape, layer):
    return keras.Sequential([keras.Input(shape), layer])


CHANNELS = {"depthwise_constraint": keras.constraints.MaxNorm(1, axis=2)}
UNCONVERTIBLE = {
    "uses the channels_first format": lambda: one_layer(
        (2, 8, 8), K.Conv2D(4, 3, data_format="channels_first", name="layer")
    ),
    "is quantised": quantized,
    "has LoRA weights": adapted_by_lora,
    "has a depthwise_constraint over channels": lambda: one_layer(
        (8, 8, 2), K.SeparableConv2D(4, 3, **CHANNELS, name="layer")
    ),
    "has strides and dilation_rate above 1": lambda: one_layer(
        (9, 9, 2), K.DepthwiseConv2D(3, strides=2, dilation_rate=2, name="layer")
    ),
    "uses batch renormalisation": lambda: one_layer(
        (4,), K.BatchNormalization(renorm=True, name="layer")
    ),
    "has inputs of unknown height or width": unbuilt_pooling,
}


@pytest.mark.parametrize("problem", UNCONVERTIBLE)
def test_a_layer_that_cannot_be_converted_stays_unchanged_with_one_warning(problem, rng):
    model = UNCONVERTIBLE[problem]()
    with pytest.warns(UserWarning) as warned:
        converted = to_mtnet(model)
    (message,) = [str(w.message) for w in warned if w.category is UserWarning]
    kind = type(model.get_layer("layer"))
    assert f"{kind.__name__} (layer), which {problem}" in message
    assert type(converted.get_layer("layer")) is kind
    shape = [size or 6 for size in model.input_shape[1:]]
    if "channels_first" not in problem:  # which TensorFlow cannot compute on every device
        x = rng.normal(size=(2, *shape)).astype("float32")
        np.testing.assert_allclose(converted(x), model(x), rtol=1e-5, atol=1e-6)


def test_one_warning_names_all_layers_that_cannot_be_converted():
    model = keras.Sequential([keras.Input((4,)), *(K.Dense(4, name=n) for n in "abc")])
    for layer in model.layers[:2]:
        layer.quantize("int8")
    with pytest.warns(UserWarning) as warned:
        converted = to_mtnet(model, layers=lambda layer: True)
    (message,) = [str(w.message) for w in warned if w.category is UserWarning]
    assert "Dense (a), which is quantised; Dense (b), which is quantised." in message
    assert [type(x) for x in converted.layers] == [K.Dense, K.Dense, layers.TWDense]


@pytest.mark.parametrize("problem", list(UNCONVERTIBLE)[:5])
def test_a_layer_that_is_requested_by_name_must_be_convertible(problem):
    model = UNCONVERTIBLE[problem]()
    for chosen in ("layer", model.get_layer("layer")):
        with pytest.raises(ValueError, match=rf"\(layer\), which {problem}. Leave it out"):
            to_mtnet(model, layers=[chosen])


def test_a_layer_that_cannot_be_converted_may_be_left_out(rng):
    model = keras.Sequential([keras.Input((4,)), K.Dense(4), K.Dense(2, name="head")])
    model.layers[0].quantize("int8")
    x = rng.normal(size=(2, 4)).astype("float32")
    np.testing.assert_allclose(to_mtnet(model, layers=["head"])(x), model(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["nobody"], "must belong to the model .* Received: nobody; its layers are"),
        (["memory"], "must name Dense, .* Received: memory of class LSTM. .*adapt_layers"),
        (lambda layer: False, "must select at least one layer"),
    ],
)
def test_wrong_choices_of_layers(chosen, message):
    model = keras.Sequential([keras.Input((4, 2)), K.LSTM(3, name="memory"), K.Dense(2)])
    with pytest.raises(ValueError, match=message):
        to_mtnet(model, layers=chosen)


def test_batch_statistics_cannot_be_folded():
    model = keras.Sequential([keras.Input((4,)), layers.TaskBatchNormalization(name="norm")])
    with pytest.raises(ValueError, match="must have fixed statistics .* Received: norm, which"):
        fold(model)


def test_the_authors_layer_normalisation_is_folded_into_a_stock_one(rng):
    model = keras.Sequential([keras.Input((5, 4, 3)), layers.ExactLayerNormalization()])
    randomize(model)
    x = rng.normal(size=(2, 5, 4, 3)).astype("float32")
    np.testing.assert_allclose(fold(model)(x), model(x), rtol=1e-5, atol=1e-5)
