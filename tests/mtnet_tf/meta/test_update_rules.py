"""Gradient descent with every kind of step size, on a loss whose gradient is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import (
    GradientDescent,
    MetaLearner,
    Sinusoids,
    TWLayer,
    UpdateRule,
    adapt,
    networks,
)
from mtnet_tf.adaptation.saved_model import read_metadata

SCHEDULE = {"initial_learning_rate": 0.4, "decay_steps": 1, "decay_rate": 0.5}  # 0.4, 0.2, 0.1


def linear(weights, step):
    """Losses whose gradient is 1 in every entry of every weight."""
    return sum(tf.reduce_sum(w, 1) for w in weights)


def moves(num_inner_steps=2, **options):
    """How far gradient descent moves two weights of one entry each."""
    start = [tf.zeros([3, 1]), tf.zeros([3, 1])]
    end = adapt(linear, start, num_inner_steps=num_inner_steps, **options).fast_weights
    return [-float(w[0, 0]) for w in end]


@pytest.mark.parametrize(
    ("step_size", "expected"),
    [
        (0.25, [0.5, 0.5]),
        (1, [2.0, 2.0]),
        (np.float32(0.25), [0.5, 0.5]),
        (tf.Variable(0.25), [0.5, 0.5]),
        (tf.constant(0.25), [0.5, 0.5]),
        (keras.Variable(0.25), [0.5, 0.5]),
        (keras.optimizers.schedules.ExponentialDecay(**SCHEDULE), [0.6, 0.6]),
        ([0.25, 1.0], [0.5, 2.0]),
        ([0.25, keras.optimizers.schedules.ExponentialDecay(**SCHEDULE)], [0.5, 0.6]),
    ],
    ids=["float", "int", "numpy", "variable", "tensor", "keras", "schedule", "list", "mixed"],
)
def test_every_kind_of_step_size_is_multiplied_by_the_gradient(step_size, expected):
    np.testing.assert_allclose(moves(step_size=step_size), expected, rtol=1e-6)
    np.testing.assert_allclose(moves(update_rule=GradientDescent(step_size)), expected, rtol=1e-6)


def test_schedule_is_called_with_the_number_of_the_inner_step():
    called = []

    class Recorded(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            called.append(step)
            return 0.1

        def get_config(self):
            return {}

    adapt(linear, [tf.zeros([1, 1])], num_inner_steps=3, step_size=Recorded())
    assert called == [0, 1, 2]


def test_number_is_a_constant_of_the_compiled_program():
    compiled = tf.function(lambda w: adapt(linear, [w], num_inner_steps=1, step_size=0.3))
    graph = compiled.get_concrete_function(tf.TensorSpec([3, 1])).graph
    assert not graph.variables
    assert len(graph.inputs) == 1
    np.testing.assert_allclose(compiled(tf.zeros([3, 1])).fast_weights[0], [[-0.3]] * 3)


WRONG = [0, 0.0, -0.1, float("nan"), float("inf"), np.float32(0), "large", True]


@pytest.mark.parametrize("step_size", [*WRONG, None])
def test_step_size_that_is_not_positive_and_finite_is_rejected(step_size):
    with pytest.raises(ValueError, match="`step_size` must be a positive and finite number"):
        GradientDescent(step_size)


@pytest.mark.parametrize("step_size", WRONG)
def test_rule_and_learner_reject_the_same_step_sizes(step_size):
    found = learner()
    for wrong in (step_size, [0.1, step_size, 0.1, 0.1], sizes_of(found.model, step_size)):
        with pytest.raises(ValueError, match="`step_size` must be a positive and finite number"):
            MetaLearner(found.model, wrong)
        with pytest.raises(ValueError, match="`step_size` must be a positive and finite number"):
            found.step_size = wrong
    assert found.step_size == 0.01


def test_rule_does_not_know_layers():
    message = "`step_size` must not be a dict here.*Give the dict to `MetaLearner"
    with pytest.raises(ValueError, match=message):
        GradientDescent({"dense": 0.1})
    with pytest.raises(ValueError, match=message):
        moves(step_size={"dense": 0.1})


@pytest.mark.parametrize("options", [{}, {"step_size": 0.1, "update_rule": GradientDescent(0.1)}])
def test_exactly_one_of_step_size_and_rule_is_accepted(options):
    message = "Exactly one of `step_size` and `update_rule` must be given"
    with pytest.raises(ValueError, match=message):
        moves(**options)
    with pytest.raises(ValueError, match=message):
        MetaLearner(networks.regression_network(dim_hidden=(3,)), **options)


def test_list_of_another_length_than_the_weights_is_rejected():
    model = networks.regression_network(dim_hidden=(3,))
    with pytest.raises(ValueError, match="one for each of the 4 task weights. Received: 3 values"):
        MetaLearner(model, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("step_size", "stored"),
    [
        (0.1, 0.1),
        (tf.Variable(0.25), 0.25),
        (keras.Variable(0.25), 0.25),
        ([0.1, 0.2], [0.1, 0.2]),
    ],
    ids=["float", "variable", "keras", "list"],
)
def test_rule_is_created_again_from_its_configuration(step_size, stored):
    config = keras.saving.serialize_keras_object(GradientDescent(step_size, name="rule"))
    again = keras.saving.deserialize_keras_object(config)
    assert again.step_size == stored
    assert again.name == "rule"


def test_schedule_is_created_again_from_its_configuration():
    rule = GradientDescent(keras.optimizers.schedules.ExponentialDecay(**SCHEDULE))
    again = GradientDescent.from_config(rule.get_config())
    assert again.step_size.get_config() == rule.step_size.get_config()


def test_variable_is_read_at_each_call_and_is_not_trained():
    size = keras.Variable(0.25)
    rule = GradientDescent(size)
    assert rule.step_size is size
    assert not rule.variables
    before = moves(update_rule=rule)
    size.assign(0.5)
    np.testing.assert_allclose(moves(update_rule=rule), 2 * np.array(before))


def network():
    return networks.regression_network(dim_hidden=(3,), seed=1)


def learner(step_size=0.01, model=None, **options):
    found = MetaLearner(model or network(), step_size, seed=1, **options)
    found.compile("sgd", "mean_squared_error", jit_compile=False)
    return found


def loss_of(found):
    history = found.fit(Sinusoids(), batch_size=2, steps_per_epoch=1, verbose=0).history
    return history["loss"][0]


def sizes_of(model, size):
    """A step size for each layer of a model; that of the last layer is `size`."""
    names = [cell.name for cell in model.layers if isinstance(cell, TWLayer)]
    return {**dict.fromkeys(names, 0.01), names[-1]: size}


class Halved(UpdateRule):
    """Half of gradient descent with step size 1."""

    def build(self, input_shape):
        self.built = True

    def update(self, step, weights, gradients, losses, state):
        return [w - 0.5 * g for w, g in zip(weights, gradients, strict=True)], state


@pytest.mark.parametrize(
    "step_size",
    [tf.Variable(0.01), keras.Variable(0.01), [0.01] * 4],
    ids=["variable", "Keras variable", "list"],
)
def test_learner_with_another_kind_of_the_same_step_size_is_the_same(step_size):
    found, plain = learner(step_size), learner()
    assert loss_of(found) == pytest.approx(loss_of(plain), rel=1e-6)
    assert len(found.meta_parameters) == len(plain.meta_parameters)
    assert len(found.variables) == len(plain.variables)


def test_one_step_size_per_layer_is_that_of_its_weights():
    model = networks.regression_network(dim_hidden=(3,))
    names = [w.name for w in model.layers if w.name.startswith("tw_")]
    sizes = dict(zip(names, (0.1, 0.2), strict=True))
    found = MetaLearner(model, sizes)
    assert found.step_size == [0.1, 0.1, 0.2, 0.2]  # kernel and bias of each layer
    found.step_size = {name: 2 * size for name, size in sizes.items()}
    assert found.step_size == [0.2, 0.2, 0.4, 0.4]
    with pytest.raises(ValueError, match="must contain the name of every layer that adapts"):
        MetaLearner(model, {names[0]: 0.1})


@pytest.mark.long
@pytest.mark.parametrize(
    "size",
    [
        0.01,
        tf.Variable(0.01),
        keras.Variable(0.01),
        keras.optimizers.schedules.PolynomialDecay(0.01, 9, end_learning_rate=0.01),
    ],
    ids=["float", "variable", "keras", "schedule"],
)
def test_layers_accept_every_kind_of_step_size(size, tmp_path):
    model = network()
    found, changed, plain = learner(sizes_of(model, size), model), learner(0.3), learner()
    changed.step_size = sizes_of(changed.model, size)
    expected = loss_of(plain)
    assert loss_of(found) == pytest.approx(expected, rel=1e-6)
    assert loss_of(changed) == pytest.approx(expected, rel=1e-6)
    found.save(tmp_path / "learner.keras")
    again = keras.saving.load_model(tmp_path / "learner.keras")
    assert loss_of(again) == pytest.approx(loss_of(found), rel=1e-6)


@pytest.mark.long
def test_step_size_of_a_learner_can_be_changed_after_training():
    changed, other = learner(0.01), learner(0.3)
    loss_of(changed)  # compiles the meta-step with 0.01
    changed.model.set_weights(other.model.get_weights())
    changed.optimizer.iterations.assign(0)
    changed.step_size = 0.3
    assert changed.step_size == 0.3
    assert loss_of(changed) == pytest.approx(loss_of(other), rel=1e-6)


def test_step_size_of_another_rule_can_not_be_changed():
    found = learner(None, update_rule=Halved())
    with pytest.raises(ValueError, match="a learner with Halved"):
        found.step_size = 0.1
    with pytest.raises(ValueError, match="a learner with Halved"):
        _ = found.step_size


@pytest.mark.parametrize(
    "step_size",
    [0.01, [0.01, 0.02, 0.03, 0.04], keras.Variable(0.5)],
    ids=["float", "list", "keras"],
)
def test_saved_learner_keeps_its_step_size(step_size, tmp_path):
    found = learner(step_size)
    found.save(tmp_path / "learner.keras")
    again = keras.saving.load_model(tmp_path / "learner.keras")
    assert again.step_size == (0.5 if isinstance(step_size, keras.Variable) else step_size)


@pytest.mark.parametrize(
    ("step_size", "stored"),
    [(tf.Variable(0.25), 0.25), ([0.25] * 4, None)],
    ids=["variable", "list"],
)
def test_export_takes_every_kind_of_step_size(step_size, stored, tmp_path):
    found = learner(step_size)
    x = np.linspace(-1, 1, 5, dtype="float32")[:, None]
    folder = found.export(tmp_path / "1")
    served = tf.saved_model.load(folder).signatures["adapt_and_predict"]
    answers = served(support_x=x[None], support_y=x[None], query_x=x[None])["predictions"][0]
    np.testing.assert_allclose(answers, found.adapt(x, x)(x), rtol=1e-5)
    metadata = read_metadata(folder)
    assert metadata["step_size"] == stored and metadata["update_rule"] == "GradientDescent"


def test_export_names_another_rule(tmp_path):
    metadata = read_metadata(learner(None, update_rule=Halved()).export(tmp_path / "1"))
    assert metadata["step_size"] is None and metadata["update_rule"] == "Halved"


def test_configuration_of_version_0_1_0_is_still_read():
    """It has a step size in addition to the rule; None stands for gradient descent."""
    config = learner().get_config()
    rule = keras.saving.serialize_keras_object(GradientDescent(0.5))
    old = {**config, "step_size": 0.2, "update_rule": None}
    assert MetaLearner.from_config(old).step_size == 0.2
    old = {**config, "step_size": 0.2, "update_rule": rule}
    assert MetaLearner.from_config(old).step_size == 0.5  # the step size was not used
