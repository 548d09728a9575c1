"""Folding of grouped convolutions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import fold, layers

K = keras.layers


def grouped(rank, transform, rng):
    """A model of one cell with two groups of three units, and inputs."""
    cell = layers.TWConv2D if rank == 2 else layers.TWConv1D
    model = keras.Sequential(
        [
            keras.Input((6,) * rank + (4,)),
            cell(6, 3, 2, "same", groups=2, activation="tanh", kernel_regularizer="l2", name="x"),
        ]
    )
    (layer,) = model.layers
    layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    layer.bias.assign(rng.normal(size=6))
    layer.transform.assign(transform)
    return model, tf.constant(rng.normal(size=(3, *model.input_shape[1:])), tf.float32)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_transform_within_the_groups_is_merged_into_one_convolution(rank, rng):
    transform = np.kron(np.eye(2), np.ones((3, 3))) * rng.normal(size=(6, 6))
    model, x = grouped(rank, transform, rng)
    folded = fold(model)
    (convolution,) = folded.layers
    assert type(convolution) is (K.Conv2D if rank == 2 else K.Conv1D)
    assert (convolution.groups, convolution.name) == (2, "x")
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_transform_that_mixes_groups_becomes_a_pointwise_convolution(rank, rng, tmp_path):
    model, x = grouped(rank, rng.normal(size=(6, 6)), rng)
    folded = fold(model)
    (block,) = folded.layers
    convolution, pointwise = block.layers
    assert (convolution.groups, convolution.use_bias, block.name) == (2, False, "x")
    assert isinstance(convolution.kernel_regularizer, keras.regularizers.L2)
    assert (set(pointwise.kernel_size), pointwise.kernel_regularizer) == ({1}, None)
    assert pointwise.activation is keras.activations.tanh
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-4, atol=1e-5)
    folded.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), folded(x))
