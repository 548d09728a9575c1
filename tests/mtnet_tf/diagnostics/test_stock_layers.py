"""`MetaLearner` rejects layers with wrong derivatives, if gradients pass through them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import ExactResizing, ExactUpSampling2D, MetaLearner, TWConv2D, TWDense
from mtnet_tf.diagnostics.derivative_rules import LAYER_RULES, rule_of

K = keras.layers


def bilinear():
    return K.UpSampling2D(2, interpolation="bilinear")


class WithStockLayer(K.Layer):
    def build(self, input_shape):
        self.inner = bilinear()
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.inner(inputs)


class WithOperation(K.Layer):
    def call(self, inputs):
        return keras.ops.image.resize(inputs, (4, 4))


class WithMoments(K.Layer):
    def call(self, inputs):
        mean, variance = tf.nn.moments(inputs, [1, 2], keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-3)


class StraightThrough(K.Layer):
    def call(self, inputs):
        return inputs + tf.stop_gradient(tf.round(inputs) - inputs)


class OwnUpSampling(K.UpSampling2D):
    """A subclass has the fault of its class."""


def nested():
    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, K.Resizing(4, 4)(inputs))


def sequential(*stack, shape=(6, 6, 3)):
    return keras.Sequential([keras.Input(shape), *stack, K.Flatten(), TWDense(2, name="head")])


def learner(model, **options):
    return MetaLearner(model, step_size=0.1, **options)


WRONG = {
    "UpSampling2D bilinear": (bilinear, "ExactUpSampling2D"),
    "UpSampling2D bicubic": (lambda: K.UpSampling2D(interpolation="bicubic"), "ExactUpSampling2D"),
    "a subclass": (lambda: OwnUpSampling(interpolation="bilinear"), "ExactUpSampling2D"),
    "Resizing": (lambda: K.Resizing(4, 4), "ExactResizing"),
    "Resizing nearest": (lambda: K.Resizing(4, 4, interpolation="nearest"), "ExactResizing"),
    "RandomRotation": (lambda: K.RandomRotation(0.2), "first layer of the model"),
    "RandomZoom": (lambda: K.RandomZoom(0.2), "first layer of the model"),
    "RandomTranslation": (lambda: K.RandomTranslation(0.2, 0.2), "first layer of the model"),
    "RandomCrop": (lambda: K.RandomCrop(3, 3), "first layer of the model"),
    "CenterCrop of a small image": (lambda: K.CenterCrop(9, 9), "ExactResizing"),
    "SpectralNormalization": (lambda: K.SpectralNormalization(K.Conv2D(2, 1)), "UnitNorm"),
    "LayerNormalization": (lambda: K.LayerNormalization(), "ExactLayerNormalization"),
    "TimeDistributed": (
        lambda: keras.Sequential([K.Reshape((1, 6, 6, 3)), K.TimeDistributed(bilinear())]),
        "ExactUpSampling2D",
    ),
    "a nested model": (nested, "ExactResizing"),
    "a layer of the user": (WithStockLayer, "ExactUpSampling2D"),
    "an operation": (WithOperation, "ExactResizing"),
    "moments": (WithMoments, "mean.square.x - mean.x"),
    "a Lambda layer": (lambda: K.Lambda(lambda x: tf.image.resize(x, (4, 4))), "ExactResizing"),
    "softsign": (lambda: TWConv2D(2, 1, activation="softsign"), "abs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_layer_with_wrong_derivatives_is_rejected_with_an_alternative(name):
    make, alternative = WRONG[name]
    model = sequential(TWConv2D(3, 1), make())
    with pytest.raises(ValueError, match=f"must not contain .* Received: .*{alternative}.*"):
        learner(model)


@pytest.mark.parametrize("name", ["Resizing", "LayerNormalization", "softsign"])
def test_a_learner_without_second_derivatives_accepts_it(name):
    learner(sequential(TWConv2D(3, 1), WRONG[name][0]()), first_order=True)


@pytest.mark.parametrize("name", ["SpectralNormalization", "RandomRotation", "RandomZoom"])
def test_a_wrong_first_derivative_is_rejected_without_second_derivatives_too(name):
    model = sequential(TWConv2D(3, 1), WRONG[name][0]())
    with pytest.raises(ValueError, match=f"{name} .* first derivative"):
        learner(model, first_order=True)


class Projected(K.Layer):
    """`ImageProjectiveTransformV3`, whose first derivative is wrong, and a resizing."""

    def call(self, inputs):
        moved = keras.ops.image.affine_transform(inputs, tf.constant([[1.0, 0, 0.3] + [0.0] * 5]))
        return tf.image.resize(moved, (4, 4))


def test_an_operation_with_a_wrong_first_derivative_is_rejected_without_second_ones_too():
    with pytest.raises(ValueError, match="ImageProjectiveTransformV3 .* first derivative"):
        learner(sequential(TWConv2D(3, 1), Projected()), first_order=True)


@pytest.mark.parametrize("value", [False, 0, tf.constant(False)])
def test_second_derivatives_are_checked_once_they_are_used(value):
    made = learner(sequential(TWConv2D(3, 1), K.Resizing(4, 4)), first_order=True)
    made.first_order = True
    with pytest.raises(ValueError, match="Resizing .* second derivative"):
        made.first_order = value
    assert made.first_order is True
    made.check_derivatives = False
    with pytest.warns(UserWarning, match="Resizing"):
        made.first_order = value
    assert made.first_order is value


def test_second_derivatives_are_checked_for_the_layers_that_adapt():
    model = sequential(K.Conv2D(3, 1), K.Resizing(4, 4))
    made = learner(model, first_order=True, adapt_layers=["head"])
    made.first_order = False
    assert made.first_order is False


@pytest.mark.parametrize(
    "name", ["Resizing", "RandomRotation", "a nested model", "a layer of the user", "an operation"]
)
def test_a_layer_that_prepares_the_inputs_is_harmless(name):
    make, _ = WRONG[name]
    learner(sequential(make(), TWConv2D(3, 1)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: K.UpSampling2D(2),
        lambda: ExactUpSampling2D(2, interpolation="bilinear"),
        lambda: ExactResizing(4, 4),
        lambda: K.CenterCrop(3, 3),
        lambda: K.MaxPooling2D(3, 2),
        lambda: K.Dropout(0.3),
        StraightThrough,
        lambda: K.Lambda(tf.tanh),
    ],
)
def test_exact_layers_are_accepted(make):
    learner(sequential(TWConv2D(3, 1), make()))


class NoGradient(K.Layer):
    """Floating outputs that depend on the inputs, but are constants for derivatives."""

    def call(self, inputs):
        constants = tf.round(inputs) + tf.stop_gradient(inputs) + tf.zeros_like(inputs)
        size = tf.cast(tf.size(inputs) + tf.cast(inputs[0, 0, 0, 0], tf.int32), tf.float32)
        return tf.image.resize(constants * size, (4, 4))


def test_no_derivative_passes_through_a_constant():
    learner(sequential(TWConv2D(3, 1), NoGradient()))


def residual(depth):
    inputs = hidden = keras.Input((8,))
    for _ in range(depth):
        hidden = hidden + TWDense(8)(hidden)
    return keras.Model(inputs, TWDense(2)(hidden))


def test_a_deep_model_is_checked_without_backward_passes(monkeypatch):
    """One for each layer took ten seconds for 40 layers."""
    monkeypatch.setattr(tf.GradientTape, "gradient", None)
    learner(residual(3))
    stack = [K.Resizing(6, 6), WithOperation(), TWConv2D(3, 1), K.ReLU()]
    learner(sequential(*stack))
    for part in (K.Resizing(5, 5), WithOperation()):
        with pytest.raises(ValueError, match="Received: Resi[a-zA-Z]* "):
            learner(sequential(*stack, part))


class InLoop(K.Layer):
    """Calls a layer inside a loop."""

    def build(self, input_shape):
        self.inner = K.Resizing(6, 6)

    def call(self, inputs):
        return tf.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, self.inner(x)), (0, inputs))[
            1
        ]


def test_a_layer_in_a_loop_is_found():
    with pytest.raises(ValueError, match="ExactResizing"):
        learner(sequential(TWConv2D(3, 1), InLoop()))


def test_a_layer_behind_weights_that_do_not_adapt_needs_one_derivative_only():
    learner(sequential(K.Conv2D(3, 1), K.Resizing(4, 4)))
    with pytest.raises(ValueError, match="RandomRotation .* first derivative"):
        learner(sequential(K.Conv2D(3, 1), K.RandomRotation(0.1)))


def test_the_adapted_layers_decide():
    model = sequential(K.Conv2D(3, 1, name="conv"), K.Resizing(4, 4))
    learner(model, adapt_layers=["head"])
    with pytest.raises(ValueError, match="Resizing"):
        learner(model, adapt_layers=["conv"])


def test_functional_operations_are_found():
    inputs = keras.Input((6, 6, 3))
    hidden = keras.ops.image.resize(TWConv2D(2, 1)(inputs) + 1.0, (4, 4))
    with pytest.raises(ValueError, match="ExactResizing"):
        learner(keras.Model(inputs, TWDense(2)(K.Flatten()(hidden))))


def test_layers_between_several_inputs_are_found():
    shapes = {"image": (6, 6, 3), "features": (4,)}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    convolved = TWConv2D(2, 1)(inputs["image"])
    for behind in (False, True):
        hidden = K.Resizing(4, 4)(convolved if behind else inputs["image"])
        joined = K.Concatenate()([K.Flatten()(hidden), inputs["features"]])
        model = keras.Model(inputs, TWDense(2)(joined))
        if not behind:
            learner(model)
            continue
        with pytest.raises(ValueError, match="ExactResizing"):
            learner(model)


class Subclass(keras.Model):
    def __init__(self, resizing_first):
        super().__init__()
        self.resizing_first = resizing_first
        self.stack = [TWConv2D(2, 1), K.Resizing(4, 4)]
        self.head = TWDense(2)

    def call(self, inputs):
        first, second = reversed(self.stack) if self.resizing_first else self.stack
        return self.head(tf.reshape(second(first(inputs)), [-1, 32]))


def test_layers_of_a_subclassed_model_are_found():
    for resizing_first in (True, False):
        model = Subclass(resizing_first)
        model(np.zeros((2, 6, 6, 3), "float32"))
        if resizing_first:
            learner(model)
            continue
        with pytest.raises(ValueError, match="ExactResizing"):
            learner(model)


def test_a_user_can_train_anyway_and_is_warned():
    model = sequential(TWConv2D(3, 1), K.Resizing(4, 4))
    with pytest.warns(UserWarning, match=r"must not contain Resizing.*ExactResizing"):
        made = learner(model, check_derivatives=False)
    with pytest.warns(UserWarning, match="Resizing"):
        MetaLearner.from_config(made.get_config())


def test_a_learner_saved_before_the_check_can_be_loaded():
    config = learner(sequential(TWConv2D(3, 1))).get_config()
    model = sequential(TWConv2D(3, 1), K.Resizing(4, 4))
    del config["check_derivatives"]
    config["model"] = keras.saving.serialize_keras_object(model)
    with pytest.warns(UserWarning, match="Resizing"):
        MetaLearner.from_config(config)


def test_the_check_changes_no_state():
    model = sequential(K.RandomRotation(0.2), K.Dropout(0.3), TWConv2D(3, 1))
    before = [np.array(v) for v in model.variables]
    learner(model)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)


class OwnNormalization(K.BatchNormalization):
    pass


def test_batch_normalisation_is_rejected_everywhere_and_the_message_says_so():
    with pytest.raises(ValueError) as found:
        learner(sequential(K.BatchNormalization(), TWConv2D(3, 1)))
    assert "must not contain BatchNormalization, because it mixes tasks" in str(found.value)
    assert "`mtnet_tf.to_mtnet(model)` replaces it" in str(found.value)


@pytest.mark.parametrize(
    ("make", "replacement"),
    [
        (OwnNormalization, "TaskBatchNormalization"),
        (lambda: OwnUpSampling(interpolation="bilinear"), "ExactUpSampling2D"),
    ],
)
def test_the_message_about_a_subclass_does_not_promise_a_conversion(make, replacement):
    with pytest.raises(ValueError, match=f"Use {replacement}") as found:
        learner(sequential(TWConv2D(3, 1), make()))
    assert "to_mtnet" not in str(found.value)


def test_every_rule_names_a_layer_of_keras():
    # A version of Keras may lack the newest layers.
    found = [name for name in LAYER_RULES if hasattr(K, name)]
    assert len(found) > 10
    assert rule_of(K.Dense(2)) is None and rule_of(K.Resizing(2, 2)) is LAYER_RULES["Resizing"]
