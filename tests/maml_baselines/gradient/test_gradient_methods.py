"""Gradient-based baselines compared with MAML: one of the two is a special case of the other."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_baselines import METHODS, build_learner, resolve
from maml_baselines.gradient.maml_plus_plus import MAMLPlusPlus, PerStepRates, step_importance
from maml_baselines.gradient.meta_curvature import MetaCurvatureRule, as_axes
from maml_baselines.gradient.meta_lstm import LSTMRule
from maml_baselines.gradient.meta_sgd import MetaSGDRule
from maml_baselines.gradient.reptile import Reptile, minibatch
from maml_baselines.resolving import fits
from mtnet_tf import ImageClasses, MetaLearner, networks
from mtnet_tf.meta import adapt, initial_fast_weights, set_losses
from mtnet_tf.tasks import Episode

SEED = tf.constant([0, 1])
ALPHA = 0.125  # the same number in float32, in which Keras' initializers keep it
PLAIN = {"transform": False, "mask": None}


def learner(kind=MetaLearner, *, num_inner_steps=2, seed=3, **options):
    model = networks.regression_network(
        dim_hidden=(5, 4), cell_options=PLAIN, dtype="float64", seed=seed
    )
    random = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(variable + 0.3 * random.normal(size=variable.shape))
    if "update_rule" not in options:
        options.setdefault("step_size", ALPHA)
    found = kind(model, num_inner_steps=num_inner_steps, **options)
    found.compile(keras.optimizers.SGD(1.0), "mean_squared_error", run_eagerly=True)
    return found


def gradients(found, episode):
    """The loss and the gradients of the network's variables, without the rule's."""
    result, every = found.meta_gradients(episode, SEED)
    return result.value, every[: len(found.model.trainable_variables)]


def assert_same(ours, expected):
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "rule",
    [
        lambda: MetaSGDRule(ALPHA, dtype="float64"),
        lambda: MetaCurvatureRule(ALPHA, dtype="float64"),
        lambda: PerStepRates(ALPHA, 2, dtype="float64"),
        lambda: MetaSGDRule(ALPHA * 4, 4.0, dtype="float64"),
        lambda: PerStepRates(ALPHA * 4, 2, 4.0, dtype="float64"),
    ],
    ids=["constant rates", "curvature", "constant rates per step", "other unit", "per step"],
)
def test_a_rule_that_has_learned_nothing_is_maml(rule, regression_episode):
    episode = regression_episode()
    assert_same(gradients(learner(update_rule=rule()), episode), gradients(learner(), episode))


def test_meta_sgd_rates_get_the_gradient_of_one_step_by_hand(regression_episode):
    """d loss / d rate = - query gradient * support gradient, entry by entry, for one task."""
    one = Episode(*(x[:1] for x in regression_episode()[:4]))
    found = learner(num_inner_steps=1, update_rule=MetaSGDRule(ALPHA, dtype="float64"))
    _, every = found.meta_gradients(one, SEED)
    start, end = found.adapt_weights(
        (one.support_x, one.support_y), num_inner_steps=1, masks=None
    ).weights
    with tf.GradientTape() as tape:
        tape.watch(end)
        loss = tf.reduce_mean(tf.square(found.predict_with(end, one.query_x) - one.query_y[0]))
    at_query = tape.gradient(loss, end)
    moved = [(a - b) / ALPHA for a, b in zip(start, end, strict=True)]  # the support gradient
    expected = [-(q * m)[0] for q, m in zip(at_query, moved, strict=True)]
    assert_same(every[len(found.model.trainable_variables) :], expected)


def test_curvature_of_a_convolution_is_a_matrix_along_each_axis(rng):
    shape = (2, 3, 4, 5)
    assert as_axes(shape) == (6, 4, 5)
    rule = MetaCurvatureRule(1.0, dtype="float64")
    rule.build([shape])
    values = [rng.normal(size=(n, n)) for n in (6, 4, 5)]
    for matrix, value in zip(rule.matrices[0], values, strict=True):
        matrix.assign(value)
    gradient = rng.normal(size=(7, *shape))
    (moved,), _ = rule.update(0, [tf.zeros([7, *shape], tf.float64)], [tf.constant(gradient)], 0, 0)
    expected = np.einsum("bfcu,gf,dc,vu->bgdv", gradient.reshape(7, 6, 4, 5), *values)
    np.testing.assert_allclose(-moved, expected.reshape(7, *shape))


def test_curvature_of_a_bias_is_a_factor_for_each_entry(rng):
    rule = MetaCurvatureRule(0.5, dtype="float64")
    rule.build([(3,)])
    rule.matrices[0][0].assign([1.0, 2.0, -1.0])
    gradient = tf.constant(rng.normal(size=(2, 3)))
    (moved,), _ = rule.update(0, [tf.zeros([2, 3], tf.float64)], [gradient], 0, 0)
    np.testing.assert_allclose(moved, -0.5 * gradient * [1.0, 2.0, -1.0])


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [
        (MetaSGDRule, {"initial_rate": 0.1, "loss_unit": 3.0}),
        (PerStepRates, {"initial_rate": 0.1, "num_inner_steps": 2, "loss_unit": 3.0}),
        (MetaCurvatureRule, {"step_size": 0.1}),
        (LSTMRule, {"hidden_units": 4, "loss_unit": 3.0, "seed": 5}),
    ],
)
def test_a_rule_is_created_again_from_its_configuration(rule, arguments):
    config = rule(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    again = rule.from_config(config)
    assert {name: getattr(again, name) for name in arguments} == arguments


def test_each_step_has_its_own_rate_and_later_steps_use_the_last():
    rule = PerStepRates(1.0, 2, dtype="float64")
    rule.build([(1,)])
    rule.rates[0].assign([0.5, 0.25])
    weights, gradients = [tf.zeros([1, 1], tf.float64)], [tf.ones([1, 1], tf.float64)]
    moves = [rule.update(step, weights, gradients, None, None)[0][0] for step in range(3)]
    np.testing.assert_array_equal(tf.concat(moves, 0)[:, 0], [-0.5, -0.25, -0.25])


def test_importance_of_steps_moves_from_all_steps_to_the_last():
    np.testing.assert_allclose(step_importance(4, 0.0), [0.25] * 4)
    np.testing.assert_allclose(step_importance(4, 0.5), [0.125, 0.125, 0.125, 0.625])
    np.testing.assert_allclose(step_importance(4, 1.0), [0, 0, 0, 1])


def test_multi_step_loss_is_the_mean_of_mamls_losses_at_first(regression_episode):
    episode = regression_episode()
    losses = [gradients(learner(num_inner_steps=s), episode)[0] for s in (1, 2, 3)]
    plus = learner(MAMLPlusPlus, num_inner_steps=3, multi_step_iterations=10)
    np.testing.assert_allclose(gradients(plus, episode)[0], np.mean(losses))
    plus.optimizer.iterations.assign(10)
    np.testing.assert_allclose(gradients(plus, episode)[0], losses[-1])


def test_the_first_iterations_of_maml_plus_plus_are_first_order(regression_episode):
    episode = regression_episode()
    plus = learner(MAMLPlusPlus, first_order_iterations=5)
    first, second = (gradients(learner(first_order=x), episode) for x in (True, False))
    assert not np.allclose(first[1][0], second[1][0], rtol=1e-3)
    assert_same(gradients(plus, episode), first)
    plus.optimizer.iterations.assign(5)
    assert_same(gradients(plus, episode), second)


def test_maml_plus_plus_exports_without_its_schedule(regression_episode, tmp_path):
    """The adaptation of an exported learner does not depend on a meta-iteration."""
    episode = regression_episode()
    plus = learner(
        MAMLPlusPlus, update_rule=PerStepRates(ALPHA, 2, dtype="float64"), first_order_iterations=5
    )
    plus.export(tmp_path / "1")
    served = tf.saved_model.load(tmp_path / "1").signatures["adapt_and_predict"]
    inputs = {"support_x": episode[0], "support_y": episode[1], "query_x": episode[2]}
    found = served(**inputs)["predictions"][0]
    expected = plus.adapt(*(x[0].numpy() for x in episode[:2])).predict(episode[2][0], verbose=0)
    np.testing.assert_allclose(found, expected)


def test_reptile_moves_towards_the_adapted_weights(regression_episode):
    episode = regression_episode()
    found = learner(Reptile, num_inner_steps=3, first_order=True)

    def losses(weights, step):
        x, y = minibatch(episode, SEED, step)
        return set_losses(found.model, found.task_weights, found.task_loss, weights, x, y)[0]

    start = initial_fast_weights([w.variable for w in found.task_weights], len(episode.query_x))
    trajectory = adapt(losses, start, num_inner_steps=3, step_size=ALPHA).weights
    expected = [
        tf.reduce_mean(a - b, 0) for a, b in zip(trajectory[0], trajectory[-1], strict=True)
    ]
    assert_same(gradients(found, episode)[1], expected)
    result = found.meta_loss(episode, SEED, training=True)
    answers = found.predict_with(trajectory[-1], episode.query_x)
    np.testing.assert_allclose(result.query_predictions, answers)


def test_reptile_of_one_step_is_joint_training(regression_episode):
    """Nichol et al. 2018, section 5: with one inner step it lowers the expected loss itself."""
    episode = regression_episode()
    seen = minibatch(episode, SEED, 0)
    joint = gradients(learner(num_inner_steps=0), Episode(*seen, *seen))[1]
    found = gradients(learner(Reptile, num_inner_steps=1, first_order=True), episode)[1]
    assert_same(found, [ALPHA * g for g in joint])


def test_reptile_shows_the_arguments_of_a_meta_learner():
    ours, parent = (inspect.signature(cls).parameters for cls in (Reptile, MetaLearner))
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in parent.values()
    ]


def test_reptile_needs_one_step_size():
    with pytest.raises(ValueError, match="must be one number or variable for all weights"):
        learner(Reptile, step_size=[ALPHA] * 6)


def test_reptile_needs_a_step():
    with pytest.raises(ValueError, match="must be at least 1: Reptile"):
        learner(Reptile, num_inner_steps=0, first_order=True)


def test_minibatches_are_consecutive_parts_of_support_and_query_set():
    x = np.arange(2 * 9.0).reshape(2, 9)  # two tasks of three support and six query examples
    episode = Episode(x[:, :3], -x[:, :3], x[:, 3:], -x[:, 3:])
    batches = [minibatch(episode, SEED, step) for step in range(4)]
    for x_of_step, y_of_step in batches:
        assert x_of_step.shape == (2, 3)
        np.testing.assert_array_equal(y_of_step, -x_of_step)
    seen = np.concatenate([b[0] for b in batches[:3]], 1)
    np.testing.assert_array_equal(np.sort(seen, 1), x)
    assert not np.array_equal(seen, x)  # shuffled
    np.testing.assert_array_equal(batches[3][0], batches[0][0])


def tiny_pictures():
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), np.uint8)
    return ImageClasses(images, [6] * 10, num_ways=3, num_shots=1, num_queries=2)


def image_learner(name, **given):
    given = {"data_source": "omniglot", "num_filters": 4, "jit_compile": False, **given}
    tasks = tiny_pictures()
    found = build_learner(resolve({"method": name, "num_ways": 3, **given}), tasks)
    return found, tasks.sample(SEED, 2)


@pytest.mark.parametrize("name", ["metasgd", "maml++"])
def test_learned_rates_have_the_unit_of_the_mean_loss_as_published(name):
    """Adam changes a rate by the same number in any unit."""
    found, _ = image_learner(name, step_size=0.1)
    for rates in found.update_rule.rates:
        np.testing.assert_allclose(rates, 0.3, rtol=1e-6)  # three ways
    assert found.update_rule.loss_unit == 3


def test_clipping_applies_to_the_gradient_of_the_mean_query_loss():
    """The query loss of two images for each of three classes is six times the mean."""
    assert image_learner("lstm")[0].optimizer.global_clipnorm == 0.25 * 6
    assert image_learner("lstm")[0].update_rule.loss_unit == 3
    plus = image_learner("maml++", data_source="miniimagenet")[0]
    assert plus.optimizer.clipvalue == 10.0 * 6


@pytest.mark.parametrize(
    ("name", "rates"), [("reptile", [1, 0.5, 0]), ("maml++", [1e-3, 5.05e-4, 1e-5])]
)
def test_meta_learning_rates_fall_as_published(name, rates):
    optimizer = image_learner(name, num_meta_iterations=100)[0].optimizer
    for iteration, rate in zip((0, 50, 100), rates, strict=True):
        optimizer.iterations.assign(iteration)
        np.testing.assert_allclose(optimizer.learning_rate, rate, rtol=1e-5, atol=1e-9)


def test_anil_adapts_only_the_last_layer():
    found, episode = image_learner("anil")
    shapes = [tuple(w.variable.shape) for w in found.task_weights]
    assert shapes == [(4, 3), (3,)]
    _, every = found.meta_gradients(episode, SEED)
    body = found.model.layers[0].kernel
    index = [id(v) for v in found.meta_parameters].index(id(body))
    assert np.any(every[index] != 0)  # still meta-learned


def test_warp_layers_learn_but_do_not_adapt():
    found, episode = image_learner("warp")
    cells = [x for x in found.model.layers if x.name.startswith("tw_")]
    assert len(cells) == 9  # four convolutions, four warps, the head
    adapted = {id(w.variable) for w in found.task_weights}
    assert [id(x.kernel) in adapted for x in cells] == [True, False] * 4 + [True]
    block = [type(x).__name__ for x in found.model.layers[:4]]
    assert block == ["TWConv2D", "TaskBatchNormalization", "ReLU", "TWConv2D"]
    _, every = found.meta_gradients(episode, SEED)
    by_id = dict(zip(map(id, found.meta_parameters), every, strict=True))
    assert all(np.any(by_id[id(x.kernel)] != 0) for x in cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, method in METHODS.items() if fits(method, "omniglot")])
def test_a_meta_step_is_the_same_with_xla(name):
    values = []
    for jit_compile in (False, True):
        found, _ = image_learner(name, num_inner_steps=2, num_train_ways=0, jit_compile=jit_compile)
        history = found.fit(tiny_pictures(), batch_size=2, steps_per_epoch=2, verbose=0).history
        values.append(history["loss"])
    np.testing.assert_allclose(*values, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["metasgd", "metacurvature", "maml++", "reptile", "anil", "warp", "lstm", "llama"]
)
def test_a_baseline_saved_during_training_continues_with_the_same_bits(name, tmp_path):
    options = {"batch_size": 2, "steps_per_epoch": 2, "verbose": 0}
    given = {"convolutional": False, "num_meta_iterations": 4, "num_inner_steps": 2}
    (whole, _), tasks = image_learner(name, **given), tiny_pictures()
    whole.fit(tasks, **options)
    whole.save(tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    whole.fit(tasks, **options)
    resumed.fit(tasks, **options)
    assert int(resumed.optimizer.iterations) == 4
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(a, b)
