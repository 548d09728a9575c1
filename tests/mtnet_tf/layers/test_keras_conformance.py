"""Our layers take the arguments of Keras' layers and pass Keras' own layer test."""

import inspect

import keras
import numpy as np
import pytest
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
    (layers.TWConv2D, {"filters": 4, "kernel_size": 3, "groups": 2}),
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


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (layers.TWDense, {"units": 2}),
        (layers.TWConv1D, {"filters": 2, "kernel_size": 1}),
        (layers.TWConv2D, {"filters": 2, "kernel_size": 1}),
        (layers.TWDepthwiseConv2D, {"kernel_size": 1}),
    ],
)
def test_time_step_masks_are_handled_as_by_keras(cls, arguments):
    assert cls(**arguments).supports_masking == STOCK[cls](**arguments).supports_masking


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
