import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import (
    FewShotCrossentropy,
    MetaLearner,
    TaskBatchNormalization,
    TWDense,
    networks,
    to_mtnet,
)
from mtnet_tf.adaptation.adapter import Adapter, shots
from mtnet_tf.meta.meta_step import adapt_to_support
from mtnet_tf.meta.meta_step import predict as predict_flattened

SHAPE, WAYS = (8, 8, 1), 3


def image_learner(norm="batch_norm", mask="unit", num_inner_steps=2):
    cells = {"mask": mask, "mask_initializer": "random_normal"} if mask else {"mask": None}
    model = networks.convolutional_network(
        SHAPE, WAYS, num_filters=3, norm=norm, cell_options=cells
    )
    learner = MetaLearner(model, 0.3, num_inner_steps)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    return learner


def regression_learner():
    learner = MetaLearner(networks.regression_network(dim_hidden=(5,)), 0.1)
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    return learner


@pytest.fixture
def task(rng):
    """Support set, labels of uneven shots, and queries of one task."""
    x = rng.random((11, *SHAPE)).astype("float32")
    return x[:6], np.array([0, 0, 0, 1, 1, 2]), x[6:]


def test_adapted_model_is_what_the_inner_loop_gives(task):
    learner, (x, y, query) = image_learner(), task
    masks = learner.masks(1, None, most_probable=True)
    labels = tf.constant(y[None], tf.int32)
    loss = FewShotCrossentropy(tf.constant([3.0, 3, 3, 2, 2, 1]))
    weights = adapt_to_support(
        learner.model, learner.task_weights, loss, (tf.constant(x[None]), labels),
        num_inner_steps=2, step_size=0.3, masks=masks,
    ).fast_weights  # fmt: skip
    expected = predict_flattened(learner.model, learner.task_weights, weights, query[None])
    adapted = learner.adapt(x, y, statistics="query")
    np.testing.assert_allclose(adapted(query), expected, atol=1e-5)


def test_adapting_leaves_the_learner_as_it_was(task):
    learner = image_learner()
    before = learner.get_weights()
    adapted = learner.adapt(*task[:2])
    assert not {id(v) for v in adapted.weights} & {id(v) for v in learner.weights}
    for old, new in zip(before, learner.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_with_support_statistics_an_output_does_not_depend_on_the_other_queries(task):
    learner, (x, y, query) = image_learner(), task
    answers = learner.adapt(x, y).predict(query, verbose=0)
    alone = learner.adapt(x, y).predict(query[:1], verbose=0)
    np.testing.assert_allclose(answers[:1], alone, atol=1e-6)
    adapter = Adapter(learner)
    adapted = adapter.adapt(tf.constant(x[None]), tf.constant(y[None], tf.int32))
    np.testing.assert_allclose(adapter.predict(adapted, query[None])[0], answers, atol=1e-5)
    transductive = learner.adapt(x, y, statistics="query")
    assert np.abs(transductive(query)[:1] - transductive(query[:1])).max() > 1e-3


def test_support_and_query_statistics_agree_if_the_query_set_is_the_support_set(task):
    learner, (x, y, _) = image_learner(), task
    models = [learner.adapt(x, y, statistics=s) for s in ("support", "query")]
    np.testing.assert_allclose(models[0](x), models[1](x), atol=1e-5)


def test_masks_are_most_probable_or_one_seeded_draw(task):
    learner, (x, y, query) = image_learner(mask="weight"), task

    def answers(masks):
        return learner.adapt(x, y, masks=masks)(query).numpy()

    np.testing.assert_array_equal(answers(3), answers(3))
    assert np.any(answers(3) != answers(4)) and np.any(answers(3) != answers("most_probable"))


def test_without_steps_nothing_is_learned(task):
    learner, (x, y, query) = image_learner(norm="layer_norm"), task
    adapted = learner.adapt(x, y, num_inner_steps=0)
    np.testing.assert_allclose(adapted(query), learner(query), atol=1e-6)


def test_classes_have_the_same_weight_for_every_number_of_shots(task):
    np.testing.assert_array_equal(
        shots(tf.constant([[0, 0, 1], [2, 2, 2]])), [[2, 2, 1], [3, 3, 3]]
    )
    learner, (x, y, query) = image_learner(norm="None"), task
    once = learner.adapt(x[[0, 3, 5]], y[[0, 3, 5]])
    # Two more copies of the only image of a class change nothing.
    uneven = learner.adapt(x[[0, 0, 0, 3, 5]], y[[0, 0, 0, 3, 5]])
    np.testing.assert_allclose(once(query), uneven(query), atol=1e-6)


def test_logits_of_absent_classes_do_not_matter(task):
    x, _, query = task
    y = np.array([0, 0, 0, 1, 1, 1])
    answers = []
    for value in (0.0, 100.0):
        learner = image_learner(mask=None)
        transform = learner.model.layers[-1].transform
        transform.assign(tf.concat([transform[:, :2], tf.fill([3, 1], value)], 1))
        adapter = Adapter(learner, num_ways=2)
        adapted = adapter.adapt(tf.constant(x[None]), tf.constant(y[None], tf.int32))
        answers.append(adapter.predict(adapted, query[None]))
    assert answers[0].shape == (1, 5, 2)
    np.testing.assert_array_equal(*answers)


def test_regression_takes_any_number_of_shots_from_numpy_or_tensors(rng):
    learner = regression_learner()
    x = rng.normal(size=(7, 1))  # float64, as NumPy's
    model = learner.adapt(x, np.sin(x), num_inner_steps=5)
    same = learner.adapt(tf.constant(x), tf.sin(tf.constant(x)), num_inner_steps=5)
    np.testing.assert_allclose(model.predict(x, verbose=0), same(x), atol=1e-6)
    assert np.mean((model(x) - np.sin(x)) ** 2) < np.mean((learner(x) - np.sin(x)) ** 2)


def test_functional_models_with_branches_keep_each_layers_statistics(task):
    x, y, query = task
    inputs = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(inputs)
    late, early = TaskBatchNormalization(name="late"), TaskBatchNormalization(name="early")
    left = early(TWDense(4)(flat))
    outputs = TWDense(WAYS)(keras.layers.Add()([late(TWDense(4, activation="relu")(left)), left]))
    learner = MetaLearner(keras.Model(inputs, outputs), 0.3)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    adapter = Adapter(learner)
    adapted = adapter.adapt(tf.constant(x[None]), tf.constant(y[None], tf.int32))
    model = learner.adapt(x, y)
    np.testing.assert_allclose(model(query), adapter.predict(adapted, query[None])[0], atol=1e-5)


def test_converted_and_nested_models_adapt_with_either_statistics(task):
    x, y, query = task
    inner = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization()]
    )
    stock = keras.Sequential([keras.Input(SHAPE), inner, keras.layers.Flatten()])
    stock.add(keras.layers.Dense(WAYS))
    learner = MetaLearner(to_mtnet(stock), 0.3)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    for statistics in ("support", "query"):
        adapter = Adapter(learner, statistics=statistics)
        adapted = adapter.adapt(tf.constant(x[None]), tf.constant(y[None], tf.int32))
        expected = adapter.predict(adapted, query[None])[0]
        model = learner.adapt(x, y, statistics=statistics)
        np.testing.assert_allclose(model(query), expected, atol=1e-5)


def test_layers_that_are_adapted_task_by_task_adapt_as_well(task):
    x, y, query = task
    head = keras.layers.Dense(WAYS, name="head")
    cells = [TWDense(4), TaskBatchNormalization(), keras.layers.Flatten(), head]
    learner = MetaLearner(
        keras.Sequential([keras.Input(SHAPE), *cells]), 0.3, adapt_layers=["head"]
    )
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    adapter = Adapter(learner, num_ways=2)
    adapted = adapter.adapt(tf.constant(x[None, :5]), tf.constant(y[None, :5], tf.int32))
    model = learner.adapt(x[:5], y[:5], num_ways=2)
    found = adapter.predict(adapted, query[None])[0]
    np.testing.assert_allclose(model(query)[:, :2], found, atol=1e-5)


def check_that_model_and_adapter_agree(model, x, y):
    """The adapted model of an untrained learner, compared with the `Adapter`."""
    learner = MetaLearner(model, 0.1)
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    adapter = Adapter(learner)
    adapted = adapter.adapt(tf.constant(x[None]), tf.constant(y[None]))
    expected = adapter.predict(adapted, tf.constant(x[None]))[0]
    np.testing.assert_allclose(learner.adapt(x, y)(x), expected, atol=1e-5)


def test_an_adapted_model_keeps_the_statistics_of_a_stock_normalization(rng):
    x = rng.normal(5.0, 3.0, size=(6, 2)).astype("float32")
    standardize = keras.layers.Normalization()
    standardize.adapt(x)
    model = keras.Sequential([keras.Input((2,)), standardize, TWDense(1)])
    check_that_model_and_adapter_agree(model, x, np.sin(x[:, :1]))


def test_a_cell_shared_by_two_nested_models_adapts_as_one(rng):
    shared, inputs = TWDense(2), keras.Input((2,))
    towers = [
        keras.Sequential([keras.Input((2,)), shared, keras.layers.Activation(name)])
        for name in ("tanh", "relu")
    ]
    outputs = TWDense(1)(keras.layers.Add()([tower(inputs) for tower in towers]))
    x = rng.normal(size=(5, 2)).astype("float32")
    check_that_model_and_adapter_agree(keras.Model(inputs, outputs), x, np.sin(x[:, :1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statistics": "batch"}, "`statistics` must be one of"),
        ({"masks": "random"}, "`masks` must be 'most_probable' or an int"),
        ({"num_inner_steps": -1}, "`num_inner_steps` must not be negative"),
        ({"num_ways": 4}, "`num_ways` must be from 1 to 3"),
        ({"support_x": np.zeros((6, 8, 8))}, r"`support_x` must have shape \[n, 8, 8, 1\]"),
        ({"support_y": np.zeros(5, "int32")}, "`support_y` must have one label for each"),
        ({"support_y": np.full(6, 3)}, "`support_y` must be class numbers from 0 to 2"),
    ],
)
def test_bad_arguments(task, change, message):
    arguments = {"support_x": task[0], "support_y": task[1], **change}
    with pytest.raises(ValueError, match=message):
        image_learner().adapt(**arguments)


def test_a_learner_without_a_loss_cannot_adapt(task):
    learner = MetaLearner(networks.regression_network(), 0.1)
    with pytest.raises(ValueError, match="The learner must be compiled"):
        learner.adapt(*task[:2])


def test_a_normalisation_used_twice_cannot_keep_support_statistics(task):
    inputs, shared = keras.Input(SHAPE), TaskBatchNormalization()
    hidden = shared(TWDense(4)(keras.layers.Flatten()(inputs)))
    model = keras.Model(inputs, TWDense(WAYS)(shared(TWDense(4)(hidden))))
    learner = MetaLearner(model, 0.3)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    with pytest.raises(ValueError, match="called more than once"):
        learner.adapt(*task[:2])
    learner.adapt(*task[:2], statistics="query")
