"""The audit of models with unusual layers and inputs, and why a gradient is not finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import audit, to_mtnet
from mtnet_tf.diagnostics import numerical_derivatives

K = keras.layers
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
LABELS = np.arange(6) % 3


def model_of(shape, *stack, dtype=None):
    head = [K.Flatten(), K.Dense(3, name="head")]
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stack, *head])


def normal(*shape):
    return np.random.default_rng(0).normal(size=(6, *shape)).astype("float32")


def audited(model, x, loss=CROSSENTROPY):
    return audit(model, x, LABELS, loss)


@pytest.mark.parametrize(
    ("layer", "shape", "first_error"),
    [
        (lambda: K.Bidirectional(K.GRU(2)), (2, 3), 1e-6),
        (lambda: K.ConvLSTM2D(2, 2), (2, 3, 3, 1), 1e-6),
        (lambda: K.RNN(K.LSTMCell(2), unroll=True), (2, 3), 1e-6),
        (lambda: K.TimeDistributed(K.Conv2D(2, 2)), (2, 3, 3, 1), 1e-6),
        # TensorFlow has these in float32 only.
        (lambda: K.MaxPooling3D(2), (4, 4, 2, 2), 3e-3),
        (lambda: K.AveragePooling3D(2, padding="same"), (3, 3, 2, 2), 3e-3),
        (lambda: K.TimeDistributed(K.MaxPooling3D(2)), (1, 2, 4, 2, 1), 3e-3),
    ],
)
def test_exact_layers_of_any_kind_are_called_exact(layer, shape, first_error):
    found = audited(model_of(shape, layer()), normal(*shape))
    assert found.exact, str(found)
    assert found.layers[0].first_error < first_error


def test_embeddings_are_exact(rng):
    numbers = rng.integers(0, 5, size=(6, 4))
    for masked in (False, True):
        stack = [K.Embedding(5, 3, mask_zero=masked), K.GlobalAveragePooling1D()]
        model = model_of((4,), *stack, dtype="int32")
        assert audited(model, numbers).exact
        assert audited(to_mtnet(model), numbers).exact


class WithVolumes(K.Layer):
    """Pools in float32, and is wrong in a way that float32 does not hide."""

    def call(self, inputs):
        pooled = tf.nn.max_pool3d(inputs, 2, 2, "VALID")
        return pooled * tf.stop_gradient(pooled)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(side // 2 for side in input_shape[1:4]), input_shape[4])


def test_a_wrong_layer_in_single_precision_is_found():
    found = audited(model_of((4, 4, 2, 2), K.Conv3D(2, 1), WithVolumes()), normal(4, 4, 2, 2))
    assert [f.verdict for f in found.layers][:2] == ["exact", "wrong"]
    assert found.meta_gradient.verdict == "wrong"


OPERATIONS = {
    "sqrt": (lambda x: tf.sqrt(tf.nn.relu(x)), "Sqrt of a number that is 0 or less"),
    "norm": (lambda x: tf.norm(tf.nn.relu(x - 9), axis=1, keepdims=True) * x, "Sqrt of"),
    "log": (lambda x: tf.math.log(tf.nn.relu(x)), "Log of a number that is 0 or less"),
    "division": (lambda x: tf.nn.relu(x) / tf.nn.relu(x), "RealDiv of a divisor that is 0"),
    "std": (lambda x: x + keras.ops.std(0 * x, axis=1, keepdims=True), "Sqrt of"),
    "power": (lambda x: tf.nn.relu(x) ** 0.5, "Pow of 0"),
    "overflow": (lambda x: tf.exp(1e4 * x), "its result is not finite"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_gradient_that_is_not_finite_is_explained(name):
    function, reason = OPERATIONS[name]
    model = model_of((4,), K.Dense(4), K.Lambda(function, name="culprit"))
    found = audited(model, normal(4))
    culprit = next(f for f in found.layers if f.layer == "culprit")
    assert (culprit.verdict, found.meta_gradient.verdict) == ("not finite", "not finite")
    assert reason in culprit.operation and not found.exact
    assert "culprit (Lambda) is not finite" in found.meta_gradient.fix
    assert found.layers[0].verdict == "exact"
    assert "its inputs are not finite" not in culprit.fix


def test_unit_normalisation_of_zeros_is_named():
    model = model_of((3,), K.Dense(4), K.ReLU(), K.UnitNormalization(name="unit"))
    found = audited(model, np.zeros((6, 3)))
    verdicts = {f.layer: f.verdict for f in found.layers}
    assert verdicts.pop("unit") == "not finite" and set(verdicts.values()) == {"exact"}
    assert (
        "Rsqrt of a number that is 0"
        in next(f for f in found.layers if f.layer == "unit").operation
    )
    assert "unit (UnitNormalization)" in found.meta_gradient.fix


def test_a_power_that_is_harmless_at_zero_is_exact():
    model = model_of((4,), K.Dense(4), K.Lambda(lambda x: tf.nn.relu(x) ** 2))
    assert audited(model, normal(4)).exact


def test_a_loss_that_is_not_finite_is_named():
    def loss(y, predictions):
        return -tf.math.log(tf.nn.relu(tf.reduce_sum(predictions, -1) - 99.0))

    found = audited(model_of((4,), K.Dense(4)), normal(4), loss)
    assert (found.layers[-1].layer, found.layers[-1].verdict) == ("loss", "not finite")
    assert "Log of" in found.layers[-1].operation


@tf.custom_gradient
def careless_square(x):
    return tf.square(x), lambda upstream: upstream * tf.stop_gradient(2.0 * x)


def test_a_wrong_loss_is_named():
    def loss(y, predictions):
        return tf.reduce_sum(careless_square(predictions), -1)

    found = audited(model_of((4,), K.Dense(4, "tanh")), normal(4), loss)
    assert [f.layer for f in found.layers if f.verdict == "wrong"] == ["loss"]


class Reciprocal(K.Layer):
    """1 / (w - 1): infinite after a step of size 1 on a loss with slope -1."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(), initializer="zeros")

    def call(self, inputs):
        return inputs * self.w


def test_a_step_that_leads_to_a_singular_point_is_explained():
    # The first step moves w from 0 to 1, where log(1 - w) is infinite.
    inputs = keras.Input((1,))
    hidden = Reciprocal(name="scale")(inputs)
    model = keras.Model(inputs, K.Lambda(lambda x: tf.math.log(1.0 - x), name="log")(hidden))
    found = audit(model, np.ones((4, 1)), np.ones((4, 1)), lambda y, p: p, step_size=1.0)
    assert found.meta_gradient.verdict == "not finite"
    assert "log (Lambda) is not finite after the inner step" in found.meta_gradient.fix


def test_an_operation_outside_of_layers_is_named():
    inputs = keras.Input((4, 4, 1))
    hidden = keras.ops.image.resize(K.Conv2D(2, 1, activation="tanh")(inputs), (6, 3))
    found = audited(keras.Model(inputs, K.Dense(3)(K.Flatten()(hidden))), normal(4, 4, 1))
    assert all(f.verdict == "exact" for f in found.layers)
    assert "ResizeBilinear" in found.meta_gradient.operation
    assert "outside of layers" in found.meta_gradient.fix


def test_a_zero_gradient_is_exact():
    assert audited(model_of((4,), K.Dense(4)), np.zeros((6, 4))).exact


def test_strings_and_integers_are_inputs(rng):
    lookup = K.StringLookup()
    lookup.adapt(["a", "b"])
    words = model_of((2,), lookup, K.Embedding(4, 3), dtype="string")
    assert audited(words, np.array([["a", "b"], ["b", "c"], ["a", "a"]] * 2)).exact
    images = model_of((3, 3, 1), K.Rescaling(1 / 255), K.Conv2D(2, 2))
    assert audited(images, rng.integers(0, 255, size=(6, 3, 3, 1)).astype("uint8")).exact


@pytest.mark.parametrize("kind", [list, dict])
def test_several_inputs(kind):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    output = K.Dense(3)(K.Concatenate()([a, b]))
    if kind is list:
        assert audited(keras.Model([a, b], output), [normal(4), normal(3)]).exact
    else:
        model = keras.Model({"a": a, "b": b}, output)
        assert audited(model, {"b": normal(3), "a": normal(4)}).exact
        with pytest.raises(ValueError, match="one array for each input .* Received: 1 for the 2"):
            audited(model, {"a": normal(4)})


def test_outputs_without_derivatives_are_rejected():
    inputs = keras.Input((4,))
    largest = keras.Model(inputs, keras.ops.argmax(K.Dense(3)(inputs), -1))
    with pytest.raises(ValueError, match=r"must be floating-point .* an output of int.*argmax"):
        audited(largest, normal(4))
    two = keras.Model(inputs, [K.Dense(3)(inputs), K.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="must have one output"):
        audited(two, normal(4))


def test_inputs_that_are_not_finite_are_rejected():
    with pytest.raises(ValueError, match="`x` and `y` must be finite"):
        audited(model_of((4,)), np.full((6, 4), np.nan))


def test_a_copy_in_float64_keeps_the_function_of_a_lambda_layer():
    model = keras.Sequential(
        [keras.Input((2,)), K.Lambda(tf.square), K.Lambda(lambda x: tf.cos(x))]
    )
    x = normal(2)
    copy = numerical_derivatives.in_float64(model, x)
    np.testing.assert_allclose(copy(x), np.cos(np.square(x, dtype="float64")), rtol=1e-12)
