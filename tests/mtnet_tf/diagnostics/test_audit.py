"""The audit finds what TensorFlow gets wrong, and nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import MetaLearner, audit, layers, to_mtnet
from mtnet_tf.diagnostics import numerical_derivatives

K = keras.layers


@tf.custom_gradient
def careless_square(x):
    """Right to first order only: its gradient takes 2x for a constant."""
    return tf.square(x), lambda upstream: upstream * tf.stop_gradient(2.0 * x)


class CarelessSquare(K.Layer):
    def call(self, inputs):
        return careless_square(inputs)


class Rounded(K.Layer):
    def call(self, inputs):
        return tf.round(inputs)


class Dilation(K.Layer):
    """TensorFlow has no derivative of this one's gradient."""

    def build(self, input_shape):
        self.filters = self.add_weight(shape=(2, 2, input_shape[-1]))

    def call(self, inputs):
        ones = [1, 1, 1, 1]
        return tf.nn.dilation2d(inputs, self.filters, ones, "VALID", "NHWC", ones)


def audited(*stack, shape=(6, 6, 4), units=3, n=6, **options):
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input(shape), *stack, K.Flatten(), K.Dense(units, name="head")])
    for v in model.trainable_variables:
        v.assign(rng.normal(size=v.shape) / np.sqrt(np.prod(v.shape[:-1])))
    x, y = rng.normal(size=(n, *shape)), np.arange(n) % units
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return audit(model, x, y, loss, **options), (model, x, y, loss)


def verdicts(found):
    return {f.kind: f.verdict for f in [*found.layers, found.meta_gradient]}


@pytest.mark.parametrize(
    "norm", [K.BatchNormalization, K.LayerNormalization, lambda: K.GroupNormalization(2)]
)
def test_stock_normalisation_is_wrong_to_second_order_and_can_be_mended(norm):
    """The day this fails, TensorFlow is mended."""
    # Behind a linear layer alone the error may cancel: what a layer or group normalisation
    # passes back sums to zero over the channels, and so do the inner steps of a linear layer.
    found, (model, *data) = audited(K.Conv2D(4, 1, activation="tanh"), norm())
    bad = found.layers[1]
    assert (bad.verdict, found.meta_gradient.verdict, found.exact) == ("wrong", "wrong", False)
    assert bad.first_error < 1e-6 < 1e-3 < bad.second_error
    assert "moments/StopGradient" in bad.operation
    assert "to_mtnet" in bad.mend
    mended = audit(to_mtnet(model), *data)
    assert mended.exact, str(mended)


def test_exact_layers_are_called_exact():
    found, _ = audited(
        K.Conv2D(4, 3, activation="relu"),
        K.MaxPooling2D(),
        K.Reshape((4, 4)),
        K.Dropout(0.3),
        K.Dense(4, activation="gelu"),
        K.LSTM(3, return_sequences=True, unroll=True),
        K.LeakyReLU(),
    )
    assert found.exact, str(found)
    assert len(found.layers) == 9


def test_cells_are_exact():
    found, _ = audited(
        layers.TWDepthwiseConv2D(2), layers.TaskBatchNormalization(), layers.BlockMaxPooling2D()
    )
    assert found.exact, str(found)


@pytest.mark.parametrize(
    ("layer", "verdict", "operation"),
    [
        (CarelessSquare, "wrong", "IdentityN"),
        (Dilation, "first-order only", ""),
        (Rounded, "disconnected", ""),
    ],
)
def test_operations_that_cannot_be_meta_learned_through(layer, verdict, operation):
    found, _ = audited(K.Conv2D(2, 3), layer(), K.Activation("tanh"))
    kinds = verdicts(found)
    assert kinds.pop(layer.__name__) == verdict
    assert operation in found.layers[1].operation
    if verdict != "disconnected":  # what is disconnected has no derivative that could be wrong
        assert kinds.pop("meta-gradient") == verdict
    kinds.pop("meta-gradient", None)
    assert set(kinds.values()) == {"exact"}
    assert not found.exact


def test_audit_prints_as_a_table():
    found, _ = audited(K.LayerNormalization(name="norm"))
    lines = str(found).splitlines()
    assert lines[0].startswith("| layer") and "verdict" in lines[0]
    assert lines[2].startswith("| norm") and "LayerNormalization | wrong" in lines[2]
    assert "whole model" in lines[-1]
    assert len({len(line) for line in lines}) == 1


def test_audit_leaves_the_model_alone():
    _, (model, x, *_) = audited(K.BatchNormalization(), K.Dropout(0.5))
    assert all(v.dtype != "float64" for v in model.variables)
    np.testing.assert_array_equal(model.layers[0].moving_mean, np.zeros(4))
    np.testing.assert_array_equal(model(x), model(x))


def test_what_the_audit_calls_exact_a_learner_takes():
    _, (model, *_) = audited(K.GroupNormalization(2))
    MetaLearner(to_mtnet(model), step_size=0.1)


@pytest.mark.parametrize(
    ("model", "x", "y", "message"),
    [
        (keras.Sequential([K.Dense(3)]), np.ones((4, 2)), np.ones(4), "must be built"),
        (None, np.ones((4, 3)), np.ones((4, 1)), r"shape \(n, \*\(2,\)\) that fits the model"),
        (None, np.ones((4, 2)), np.ones((3, 1)), "must hold the same examples, two at least"),
        (None, np.ones((1, 2)), np.ones((1, 1)), "must hold the same examples, two at least"),
    ],
)
def test_wrong_arguments(model, x, y, message):
    model = model or keras.Sequential([keras.Input((2,)), K.Dense(1)])
    with pytest.raises(ValueError, match=message):
        audit(model, x, y, "mean_squared_error")


def test_a_copy_in_float64_keeps_the_statistics_of_a_stock_normalization(rng):
    x = rng.normal(5.0, 3.0, size=(8, 2))
    standardize = K.Normalization()
    standardize.adapt(x)
    model = keras.Sequential([keras.Input((2,)), standardize])
    np.testing.assert_allclose(
        numerical_derivatives.in_float64(model, x)(x), model(x), rtol=1e-5, atol=1e-5
    )
