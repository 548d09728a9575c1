"""Numbers of NumPy, and arrays and tensors of one number, are numbers; floats are not integers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import (
    ImageClasses,
    MetaLearner,
    Polynomials,
    Sinusoids,
    TWDense,
    evaluate,
    layers,
    seeds,
)
from mtnet_tf.adaptation import Adapter

SEED = tf.constant([0, 1])
X = np.arange(6, dtype="float32").reshape(6, 1)
INTEGERS = {
    "NumPy": np.int64,
    "unsigned": np.uint8,
    "array": np.array,
    "tensor": tf.constant,
}
NUMBERS = {
    "float": float,
    "float32": np.float32,
    "float16": np.float16,
    "array": np.array,
    "tensor": tf.constant,
}
NO_INTEGERS = [2.0, np.float32(2), True, "2", np.array([2]), None]


def network(outputs=1):
    return keras.Sequential([keras.Input((1,)), TWDense(3, "relu"), TWDense(outputs, mask=None)])


def learner(**options):
    made = MetaLearner(network(), **{"step_size": 0.01, **options})
    made.compile("sgd", "mse", run_eagerly=True)
    return made


@pytest.mark.parametrize(
    ("form", "kind"),
    [("list", "array"), *(("one", k) for k in ["variable", "Keras variable", "integer", *NUMBERS])],
)
def test_a_step_size_may_be_any_kind_of_number(kind, form, tmp_path):
    make = {
        "variable": tf.Variable,
        "Keras variable": keras.Variable,
        "integer": np.int64,
        **NUMBERS,
    }
    value = 1 if kind == "integer" else 0.5
    size = make[kind](value)
    one = MetaLearner(network(), step_size=size if form == "one" else [size] * 4)
    one.compile("sgd", "mse", run_eagerly=True)
    expected = learner(step_size=float(value))
    expected.model.set_weights(one.model.get_weights())
    one.save(tmp_path / "one.keras")
    json.dumps(one.get_config())
    loaded = keras.saving.load_model(tmp_path / "one.keras")
    for found in (one, loaded):
        np.testing.assert_array_equal(
            found.adapt(X, X).get_weights()[0], expected.adapt(X, X).get_weights()[0]
        )


@pytest.mark.parametrize("wrong", [0, -0.1, np.nan, np.inf, "0.1", True, np.bool_(True), 1j])
def test_other_step_sizes_are_rejected(wrong):
    with pytest.raises(ValueError, match="`step_size` must be a positive and finite number"):
        learner(step_size=wrong)


def test_a_variable_of_several_step_sizes_is_rejected():
    with pytest.raises(ValueError, match=r"must contain one number.*\(2,\).*Give a list"):
        learner(step_size=tf.Variable([0.1, 0.2]))


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_of_every_kind_are_accepted_and_can_be_saved(kind, tmp_path):
    make = INTEGERS[kind]
    one = learner(num_inner_steps=make(2), seed=make(3))
    one.num_inner_steps = make(1)
    assert json.loads(json.dumps(one.get_config()))["num_inner_steps"] == 1
    options = {"num_inner_steps": make(1), "masks": make(1)}
    one.adapt(X, X, **options)
    one.fit(
        Sinusoids(make(3), make(2)),
        batch_size=make(2),
        epochs=make(1),
        initial_epoch=make(0),
        steps_per_epoch=make(1),
        validation_data=Polynomials(make(1)),
        validation_steps=make(1),
        validation_batch_size=make(1),
        validation_freq=make(1),
        verbose=0,
    )
    one.fit(((X[None], X[None]), (X[None], X[None])), batch_size=make(1), verbose=0)
    one.evaluate(Sinusoids(), batch_size=make(2), steps=make(1), verbose=0)
    found = evaluate(one, Sinusoids(), num_episodes=make(20), num_inner_steps=make(1),
                     seed=make(0), verbose=0)  # fmt: skip
    assert found.query.shape == (20, 2)
    images = np.zeros([20, 2, 2, 1], "uint8")
    tasks = ImageClasses(images, [5] * 4, num_ways=make(2), num_shots=make(1), num_queries=make(1))
    assert tasks.sample(SEED, make(3)).support_x.shape == (3, 2, 2, 2, 1)
    assert seeds.stateless_seed(make(3), seeds.Purpose.TRAIN_TASKS, 0).shape == (2,)


@pytest.mark.parametrize("wrong", NO_INTEGERS[:-1])
def test_floats_bools_and_text_are_not_integers(wrong):
    one, sampled = learner(), {"batch_size": 2, "verbose": 0}
    cases = {
        "seed": lambda: learner(seed=wrong),
        "num_inner_steps": lambda: setattr(one, "num_inner_steps", wrong),
        "num_ways": lambda: Adapter(one, num_ways=wrong),
        "batch_size": lambda: one.evaluate(Sinusoids(), batch_size=wrong, steps=1, verbose=0),
        "steps": lambda: one.evaluate(Sinusoids(), steps=wrong, **sampled),
        "epochs": lambda: one.fit(Sinusoids(), epochs=wrong, steps_per_epoch=1, **sampled),
        "steps_per_epoch": lambda: one.fit(Sinusoids(), steps_per_epoch=wrong, **sampled),
        "steps_per_execution": lambda: one.compile("sgd", "mse", steps_per_execution=wrong),
        "num_episodes": lambda: evaluate(one, Sinusoids(), num_episodes=wrong),
        "num_shots": lambda: Sinusoids(num_shots=wrong),
        "order": lambda: Polynomials(wrong),
    }
    for name, case in cases.items():
        with pytest.raises(ValueError, match=f"`{name}` must be a.* integer. Received: {name}="):
            case()
    with pytest.raises(ValueError, match="`masks` must be 'most_probable' or an int seed"):
        Adapter(one, masks=wrong)


@pytest.mark.parametrize("kind", NUMBERS)
def test_layers_store_numbers_that_json_can_represent(kind):
    half = NUMBERS[kind](0.5)
    made = [
        TWDense(np.int64(2), temperature=half, hard_mask=np.bool_(True), use_bias=np.bool_(True)),
        layers.MaskLogits(np.array([2, 3]), temperature=half),
        layers.TaskBatchNormalization(epsilon=half),
        layers.ExactLayerNormalization(epsilon=half),
    ]
    for layer in made:
        config = json.loads(json.dumps(layer.get_config()))
        assert 0.5 in (config.get("temperature"), config.get("epsilon"))
        type(layer).from_config(config)


@pytest.mark.parametrize("wrong", [0, -1.0, np.nan, "1", True, None, np.array([1.0])])
def test_other_temperatures_are_rejected(wrong):
    for make in (
        lambda: TWDense(2, temperature=wrong),
        lambda: layers.MaskLogits((2,), temperature=wrong),
    ):
        with pytest.raises(
            ValueError, match="`temperature` must be (positive|a finite number). Received"
        ):
            make()
