"""The audit finds wrong derivatives, and calls correct ones exact."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import MetaLearner, audit, layers, to_mtnet
from mtnet_tf.diagnostics import numerical_derivatives
from mtnet_tf.diagnostics.audit import record_calls

K = keras.layers


@tf.custom_gradient
def careless_square(x):
    """Correct to first order only: its gradient treats 2x as a constant."""
    return tf.square(x), lambda upstream: upstream * tf.stop_gradient(2.0 * x)


class CarelessSquare(K.Layer):
    def call(self, inputs):
        return careless_square(inputs)


class Rounded(K.Layer):
    def call(self, inputs):
        return tf.round(inputs)


class Dilation(K.Layer):
    """A layer whose gradient has no derivative in TensorFlow."""

    def build(self, input_shape):
        self.filters = self.add_weight(shape=(2, 2, input_shape[-1]))

    def call(self, inputs):
        ones = [1, 1, 1, 1]
        return tf.nn.dilation2d(inputs, self.filters, ones, "VALID", "NHWC", ones)


def network(*stack, shape=(6, 6, 4), units=3, n=6):
    """A model with these layers, and the data for its audit."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input(shape), *stack, K.Flatten(), K.Dense(units, name="head")])
    for v in model.trainable_variables:
        v.assign(rng.normal(size=v.shape) / np.sqrt(np.prod(v.shape[:-1])))
    x, y = rng.normal(size=(n, *shape)), np.arange(n) % units
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, (x, y, loss)


def audited(*stack):
    model, data = network(*stack)
    return audit(model, *data)


def verdicts(found):
    return {f.kind: f.verdict for f in [*found.layers, found.meta_gradient]}


@pytest.mark.parametrize(
    "norm", [K.BatchNormalization, K.LayerNormalization, lambda: K.GroupNormalization(2)]
)
def test_stock_normalisation_is_wrong_to_second_order_and_can_be_converted(norm):
    """If this fails, TensorFlow has been fixed."""
    # After a linear layer the error may cancel: the gradients of a layer or group normalisation
    # sum to zero over the channels, and so do the inner steps of a linear layer.
    model, data = network(K.Conv2D(4, 1, activation="tanh"), norm())
    found = audit(model, *data)
    bad = found.layers[1]
    assert (bad.verdict, found.meta_gradient.verdict, found.exact) == ("wrong", "wrong", False)
    assert bad.first_error < 1e-6 < 1e-3 < bad.second_error
    assert "moments/StopGradient" in bad.operation
    assert "to_mtnet" in bad.fix
    fixed = audit(to_mtnet(model), *data)
    assert fixed.exact, str(fixed)


def test_exact_layers_are_called_exact():
    found = audited(
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
    found = audited(
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
    found = audited(K.Conv2D(2, 3), layer(), K.Activation("tanh"))
    kinds = verdicts(found)
    assert kinds.pop(layer.__name__) == verdict
    assert operation in found.layers[1].operation
    if verdict != "disconnected":  # nothing before the layer has a gradient that could be wrong
        assert kinds.pop("meta-gradient") == verdict
    kinds.pop("meta-gradient", None)
    assert set(kinds.values()) == {"exact"}
    assert not found.exact


def test_audit_prints_as_a_table():
    found = audited(K.LayerNormalization(name="norm"))
    lines = str(found).splitlines()
    assert lines[0].startswith("| layer") and "verdict" in lines[0]
    assert lines[2].startswith("| norm") and "LayerNormalization | wrong" in lines[2]
    assert "whole model" in lines[-1]
    assert len({len(line) for line in lines}) == 1


def test_audit_leaves_the_model_alone():
    model, (x, *data) = network(K.BatchNormalization(), K.Dropout(0.5))
    weights, outputs = model.get_weights(), model(x).numpy()
    audit(model, x, *data)
    assert all(v.dtype != "float64" for v in model.variables)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(model(x), outputs)


class FailingCall(K.Layer):
    """Raises an error when it computes in float64, as only the copy of the audit does."""

    copies = []

    def call(self, inputs):
        if inputs.dtype == "float64" and tf.executing_eagerly():
            self.copies.append(self)
            raise RuntimeError("this layer fails")
        return inputs


def test_audit_restores_the_calls_of_the_layers_if_one_raises():
    FailingCall.copies.clear()
    model, data = network(FailingCall())
    with pytest.raises(RuntimeError, match="this layer fails"):
        audit(model, *data)
    (copy,) = FailingCall.copies
    assert "call" not in vars(copy) and copy.call.__func__ is FailingCall.call


class OwnCall(K.Layer):
    """A layer whose `call` belongs to the instance."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.call = self.double

    def double(self, inputs):
        return 2 * inputs


def test_audit_keeps_a_call_that_belongs_to_one_layer():
    model = keras.Sequential([keras.Input((3,)), OwnCall()])
    (call,) = record_calls(model, tf.ones([2, 3]))
    assert call.layer.call == call.layer.double
    np.testing.assert_array_equal(model(tf.ones([2, 3])), np.full((2, 3), 2.0))


def test_a_gradient_check_restores_the_variables_if_the_function_raises():
    variable = keras.Variable(np.arange(3.0), dtype="float64")

    def value():
        assert np.any(variable.numpy() != np.arange(3.0))  # moved along a direction
        raise RuntimeError("this function fails")

    with pytest.raises(RuntimeError, match="this function fails"):
        numerical_derivatives.gradient_error(
            [np.ones(3)], value, [variable], np.random.default_rng(0)
        )
    np.testing.assert_array_equal(variable, np.arange(3.0))


@pytest.mark.parametrize(("factor", "is_exact"), [(1.0, True), (1.01, False)])
def test_a_gradient_that_is_one_per_cent_off_is_found(factor, is_exact):
    variable = keras.Variable([0.5, -1.0], dtype="float64")
    gradient = [factor * np.cos([0.5, -1.0])]
    error = numerical_derivatives.gradient_error(
        gradient,
        lambda: float(tf.reduce_sum(tf.sin(variable.value))),
        [variable],
        np.random.default_rng(0),
    )
    assert (error < numerical_derivatives.TOLERANCE) == is_exact
    if not is_exact:
        assert error == pytest.approx(0.01 / 1.01, rel=1e-4)


def test_a_learner_accepts_a_converted_model_that_the_audit_calls_exact():
    model, data = network(K.GroupNormalization(2))
    with pytest.raises(ValueError, match="GroupNormalization"):
        MetaLearner(model, step_size=0.1, adapt_layers=["head"])
    converted = to_mtnet(model)
    assert audit(converted, *data).exact
    MetaLearner(converted, step_size=0.1)


@pytest.mark.parametrize(
    ("model", "x", "y", "message"),
    [
        (keras.Sequential([K.Dense(3)]), np.ones((4, 2)), np.ones(4), "must be built"),
        (None, np.ones((4, 3)), np.ones((4, 1)), r"shape \(n, \*\(2,\)\) that fits the model"),
        (None, np.ones((4, 2)), np.ones((3, 1)), "must contain the same two or more examples"),
        (None, np.ones((1, 2)), np.ones((1, 1)), "must contain the same two or more examples"),
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
