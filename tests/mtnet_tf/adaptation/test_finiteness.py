"""An adapted model whose weights or outputs are not finite is an error that names the cause."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, MetaLearner
from mtnet_tf.adaptation import Adapter
from mtnet_tf.layers import TWDense

X = np.array([[1.0], [2.0]], "float32")
Y = np.array([[1.0], [0.0]], "float32")


def line(**options):
    """A learner of y = w x, whose error grows tenfold with each step of size 4.4."""
    cell = TWDense(1, use_bias=False, transform=False, mask=None, name="line")
    model = keras.Sequential([keras.Input((1,)), cell], name="model")
    cell.kernel.assign([[1.0]])
    options = {"step_size": 4.4, "num_inner_steps": 60, **options}
    learner = MetaLearner(model, **options)
    learner.compile("sgd", "mse", run_eagerly=True)
    return learner


def first_step_that_is_not_finite(step_size):
    """By hand, in float32: the gradient of the mean squared error is mean(2 (w x - y) x)."""
    w, step = np.float32(1.0), 0
    with np.errstate(all="ignore"):
        while np.isfinite(w):
            w, step = (
                w - np.float32(step_size) * np.mean(2 * (w * X - Y) * X, dtype="float32"),
                step + 1,
            )
    return step


@pytest.mark.parametrize("step_size", [4.4, 1e30])
def test_the_message_names_the_inner_step_the_weight_and_the_step_size(step_size):
    learner = line(step_size=step_size)
    step = first_step_that_is_not_finite(step_size)
    message = f"model/line/kernel is not finite after inner step {step} of 60"
    message += f".*with step_size={step_size:.3g}.*smaller"
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        learner.adapt(X, Y)
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        Adapter(learner, statistics="query").adapt(tf.constant(X[None]), tf.constant(Y[None]))
    finite = learner.adapt(X, Y, num_inner_steps=1)
    assert np.isfinite(finite.predict(X, verbose=0)).all()


@pytest.mark.parametrize("size", [tf.Variable(1e30), [1e30]])
def test_every_kind_of_step_size_is_named(size):
    with pytest.raises(ValueError, match=r"step_size=1e\+30"):
        line(step_size=size).adapt(X, Y)


def test_outputs_may_overflow_while_weights_are_finite():
    learner = line(step_size=1e30, num_inner_steps=1)
    with pytest.raises(ValueError, match="outputs for the support set.*weights are finite, up to"):
        learner.adapt(X * 1e3, Y)


def test_weights_that_are_not_finite_before_adaptation_are_those_of_the_learner():
    learner = line()
    learner.model.layers[0].kernel.assign([[np.nan]])
    with pytest.raises(ValueError, match="weights of the learner.*model/line/kernel.*diverged"):
        learner.adapt(X, Y)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_support_set_that_is_not_finite_is_named(wrong):
    x, y = X.copy(), Y.copy()
    x[0] = y[1] = wrong
    with pytest.raises(ValueError, match="`support_x` must be finite. Received: 1 of 2"):
        line().adapt(x, Y)
    with pytest.raises(ValueError, match="`support_y` must be finite. Received: 1 of 2"):
        line().adapt(X, y)
    with pytest.raises(ValueError, match="`sample_weight` must be finite"):
        line().adapt(X, Y, sample_weight=[1.0, wrong])


def test_the_derivative_of_a_layer_may_be_the_cause():
    learner = line(step_size=0.1)
    learner.compile("sgd", lambda y, p: tf.sqrt(0.0 * p), jit_compile=False)
    with pytest.raises(ValueError, match="after inner step 1 of .* losses were 0, .*audit"):
        learner.adapt(X, Y)


def test_an_exported_program_returns_what_it_computed(tmp_path):
    path = line(step_size=1e30, num_inner_steps=3).export(tmp_path / "model")
    adapt = tf.saved_model.load(str(path)).signatures["adapt_and_predict"]
    found = adapt(support_x=X[None], support_y=Y[None], query_x=X[None])["predictions"]
    assert not np.isfinite(found).any()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "bool", "float32", "float64"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_adapted_models_do_not_depend_on_the_dtype_of_class_numbers(dtype, shape, rng):
    x, numbers = rng.normal(size=(4, 3)).astype("float32"), np.array([0, 1, 1, 0])
    model = keras.Sequential([keras.Input((3,)), TWDense(2)])
    learner = MetaLearner(model, step_size=0.1)
    learner.compile("sgd", FewShotCrossentropy(2))
    expected = learner.adapt(x, numbers.astype("int32")).get_weights()
    found = learner.adapt(x, numbers.reshape(shape).astype(dtype)).get_weights()
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    learner.compile("sgd", FewShotCrossentropy(2, one_hot=True))
    one_hot = np.eye(2)[numbers].astype(dtype)
    np.testing.assert_allclose(learner.adapt(x, one_hot).get_weights()[0], expected[0], rtol=1e-6)
