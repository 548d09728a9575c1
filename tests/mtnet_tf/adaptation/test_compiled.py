"""Repeated adaptations: compiled once, equal to eager ones, and independent of each other."""

import copy
import gc
import logging
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from maml_baselines.gradient.maml_plus_plus import MAMLPlusPlus, PerStepRates
from maml_baselines.gradient.meta_curvature import MetaCurvatureRule
from maml_baselines.gradient.meta_lstm import LSTMRule
from maml_baselines.gradient.meta_sgd import MetaSGDRule
from mtnet_tf import (
    FewShotCrossentropy,
    GradientDescent,
    MetaLearner,
    TaskBatchNormalization,
    TWDense,
    networks,
)
from mtnet_tf.adaptation.lazy_model import LazyModel

SHAPE, WAYS = (8, 8, 1), 3
X = np.linspace(-1, 1, 6, dtype="float32")[:, None]
Y = np.sin(3 * X)


class CountedLoss(keras.losses.Loss):
    """The mean squared error; counts how often Python computes it."""

    calls = 0

    def call(self, y_true, y_pred):
        type(self).calls += 1
        return tf.reduce_mean(tf.square(y_true - y_pred), -1)


def normal(seed):
    return keras.initializers.RandomNormal(0.0, 1.0, seed=seed)


def regression_learner(
    *, run_eagerly=False, kind=MetaLearner, loss="mean_squared_error", **options
):
    if "update_rule" not in options:
        options.setdefault("step_size", 0.1)
    options.setdefault("num_inner_steps", 2)
    model = keras.Sequential([
        keras.Input((1,), dtype="float64"),
        TWDense(5, kernel_initializer=normal(1), dtype="float64"),
        keras.layers.ReLU(dtype="float64"),
        TWDense(1, kernel_initializer=normal(2), dtype="float64"),
    ])  # fmt: skip
    learner = kind(model, **options)
    learner.compile("adam", loss, run_eagerly=run_eagerly, jit_compile=False)
    return learner


def image_learner(run_eagerly):
    model = networks.convolutional_network(
        SHAPE, WAYS, num_filters=2, dtype="float64", seed=2,
        cell_options={"mask_initializer": normal(5)},
    )  # fmt: skip
    learner = MetaLearner(model, 0.3)
    learner.compile("adam", FewShotCrossentropy(1), run_eagerly=run_eagerly, jit_compile=False)
    return learner


def assert_same_model(found, expected, x):
    """Predictions before and after the layers are created, and all weights."""
    assert type(found) is LazyModel
    for outputs in (found(x), found.predict(x, verbose=0)):
        np.testing.assert_allclose(outputs, expected(x), rtol=1e-10)
    assert type(found) is LazyModel
    for ours, theirs in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    assert type(found) is type(expected)
    np.testing.assert_allclose(found(x), expected(x), rtol=1e-10)


@pytest.mark.parametrize("statistics", ["support", "query"])
def test_a_compiled_adaptation_is_the_eager_one_for_any_number_of_shots(rng, statistics):
    compiled, eager = image_learner(False), image_learner(True)
    for labels, masks in (([0, 1, 2], 3), ([0, 0, 1, 1, 2], 4)):
        x, query = rng.random((len(labels), *SHAPE)), rng.random((40, *SHAPE))
        options = {"masks": masks, "statistics": statistics}
        found = compiled.adapt(x, np.array(labels), **options)
        expected = eager.adapt(x, np.array(labels), **options)
        if statistics == "query":  # `predict` normalises each of its batches
            query = query[:7]
        assert_same_model(found, expected, query)
    assert len(compiled._adaptations) == 1


class Written(keras.Model):
    """A model with normalisation, as Python code."""

    def __init__(self):
        super().__init__()
        self.first = TWDense(4, kernel_initializer=normal(1))
        self.normalization = TaskBatchNormalization()
        self.last = TWDense(1, kernel_initializer=normal(2))

    def call(self, inputs, training=None):
        return self.last(self.normalization(self.first(inputs)))


@pytest.mark.parametrize("statistics", ["support", "query"])
def test_a_subclass_of_model_adapts_with_variables_of_its_own(statistics):
    found = []
    for run_eagerly in (False, True):
        model = Written()
        model(X)
        learner = MetaLearner(model, 0.1)
        learner.compile("adam", "mean_squared_error", run_eagerly=run_eagerly)
        found.append(learner.adapt(X, Y, statistics=statistics))
        before = found[-1](X[:4])
        model.last.kernel.assign(2 * model.last.kernel)
        np.testing.assert_array_equal(found[-1](X[:4]), before)
        assert not {id(v) for v in found[-1].variables} & {id(v) for v in learner.variables}
        np.testing.assert_allclose(found[-1](X[:4]), before, rtol=1e-5)
    np.testing.assert_allclose(*[adapted(X[:4]) for adapted in found], rtol=1e-5)


RULES = {
    "gradient descent": lambda: GradientDescent([0.1, 0.2, 0.1, 0.3]),
    "schedule": lambda: GradientDescent(keras.optimizers.schedules.CosineDecay(0.1, 4)),
    "MAML++": lambda: PerStepRates(0.1, 2, dtype="float64"),
    "Meta-SGD": lambda: MetaSGDRule(0.1, dtype="float64"),
    "Meta-Curvature": lambda: MetaCurvatureRule(0.1, dtype="float64"),
    "LSTM": lambda: LSTMRule(dtype="float64"),
}


@pytest.mark.parametrize("name", RULES)
def test_every_update_rule_is_compiled(name):
    kind = MAMLPlusPlus if name == "MAML++" else MetaLearner
    pair = [
        regression_learner(run_eagerly=eager, kind=kind, update_rule=RULES[name]())
        for eager in (False, True)
    ]
    found, expected = (learner.adapt(X, Y) for learner in pair)
    np.testing.assert_allclose(found(X), expected(X), rtol=1e-6)


def test_python_computes_the_loss_once_for_all_shapes():
    learner = regression_learner(loss=CountedLoss(), num_inner_steps=1)
    learner.adapt(X, Y)
    before = CountedLoss.calls
    for n in (1, 2, 3, 6, 6):
        for _ in range(3):
            learner.adapt(X[:n], Y[:n]).predict(X[:n], verbose=0)
    assert CountedLoss.calls == before


def test_earlier_models_stay_as_they_are():
    learner = regression_learner()
    used, untouched = learner.adapt(X, Y), learner.adapt(X, Y)
    before = used(X).numpy()
    learner.adapt(X, -Y)
    for variable in learner.model.variables:
        variable.assign(2 * variable + 1)
    later = learner.adapt(X, Y)
    for model in (used, untouched):
        np.testing.assert_array_equal(model(X), before)
        assert len(model.layers) == 3
        np.testing.assert_allclose(model(X), before, rtol=1e-12)
    assert np.abs(later(X) - before).max() > 0.1


def change_schedule(learner):
    learner.update_rule.step_size.initial_learning_rate = 0.3


def freeze_a_layer(learner):
    learner.model.layers[0].trainable = False


CHANGES = {
    "step_size": lambda learner: setattr(learner, "step_size", 0.3),
    "num_inner_steps": lambda learner: setattr(learner, "num_inner_steps", 3),
    "update_rule": lambda learner: setattr(learner, "update_rule", GradientDescent(0.2)),
    "rule": lambda learner: setattr(learner.update_rule, "step_size", 0.3),
    "schedule": change_schedule,
    "loss": lambda learner: learner.compile("adam", "mean_absolute_error", jit_compile=False),
    "trainable": freeze_a_layer,
    "activation": lambda learner: setattr(learner.model.layers[1], "negative_slope", 0.5),
    "mask": lambda learner: learner.model.layers[0].kernel_mask.logits.assign([-1.0] * 5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_has_an_effect_on_the_next_adaptation(name):
    step_size = keras.optimizers.schedules.CosineDecay(0.1, 9) if name == "schedule" else 0.1
    learner = regression_learner(step_size=step_size)
    before = learner.adapt(X, Y)(X)
    CHANGES[name](learner)
    found = learner.adapt(X, Y)(X)
    assert np.abs(found - before).max() > 1e-4
    learner.run_eagerly = True
    np.testing.assert_allclose(found, learner.adapt(X, Y)(X), rtol=1e-10)


def live_graphs():
    gc.collect()
    return sum(isinstance(x, FuncGraph) for x in gc.get_objects())


def test_memory_is_constant_and_nothing_is_traced_again(caplog):
    learner = regression_learner(num_inner_steps=1)

    def adapt(number):
        adapted = learner.adapt(X, Y + number, masks=number)
        adapted.predict(X, verbose=0)
        return weakref.ref(adapted)

    adapt(0)
    graphs = live_graphs()
    with caplog.at_level(logging.WARNING, "tensorflow"):
        models = [adapt(number) for number in range(60)]
    assert live_graphs() == graphs and not caplog.records
    assert not any(model() for model in models)


def test_the_number_of_compiled_adaptations_is_limited():
    learner = regression_learner(num_inner_steps=0)
    for number in range(17):
        learner.step_size = 0.1 + number / 100
        learner.adapt(X, Y)
    assert len(learner._adaptations) == 16


def test_an_adapted_model_is_a_keras_model(tmp_path):
    learner = regression_learner()
    expected = learner.adapt(X, Y)(X)
    assert isinstance(learner.adapt(X, Y), keras.Model)
    assert isinstance(learner.adapt(X, Y), keras.Sequential)
    saved = [lambda model, path: model.save(path), keras.saving.save_model]
    for i, save in enumerate(saved):
        save(learner.adapt(X, Y), tmp_path / f"{i}.keras")
        loaded = keras.saving.load_model(tmp_path / f"{i}.keras")
        np.testing.assert_allclose(loaded(X), expected, rtol=1e-10)
    inputs = keras.Input((1,))
    larger = keras.Model(inputs, 2 * learner.adapt(X, Y)(inputs))
    np.testing.assert_allclose(larger(X), 2 * expected, rtol=1e-10)
    copied = copy.deepcopy(learner.adapt(X, Y))
    np.testing.assert_allclose(copied(X), expected, rtol=1e-10)
    assert "Sequential" in repr(learner.adapt(X, Y))


def test_an_adapted_model_has_gradients_and_can_be_trained():
    learner = regression_learner()
    model = learner.adapt(X, Y)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(X) - Y))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert any(np.any(g != 0) for g in gradients if g is not None)
    model.compile("sgd", "mse")
    model.name = "again"
    before = model.evaluate(X, Y, verbose=0)
    model.fit(X, Y, epochs=3, verbose=0)
    assert model.evaluate(X, Y, verbose=0) < before


def test_wrong_inputs_raise_the_errors_of_keras():
    model = regression_learner().adapt(X, Y)
    with pytest.raises(ValueError, match="incompatible with the layer"):
        model(np.zeros((3, 4)))
    learner = regression_learner(step_size=1e30, num_inner_steps=9)
    with pytest.raises(ValueError, match=r"is not finite after inner step \d of 9"):
        learner.adapt(X, Y)
