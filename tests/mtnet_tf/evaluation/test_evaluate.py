import dataclasses
import importlib
import io

import keras
import numpy as np
import pytest
import tensorflow as tf
import tqdm

from mtnet_tf import (
    Episode,
    Evaluation,
    FewShotCrossentropy,
    ImageClasses,
    MetaLearner,
    Sinusoids,
    TaskDistribution,
    TWDense,
    evaluate,
    networks,
    seeds,
)
from mtnet_tf.layers.fast_weights import FastWeightScope, SetStatistics


def regression_learner(**options):
    learner = MetaLearner(networks.regression_network(dim_hidden=(8,), **options), 0.05)
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    return learner


def run(learner, tasks=None, **options):
    options = {"num_episodes": 30, "num_inner_steps": 2, "verbose": 0, **options}
    return evaluate(learner, tasks or Sinusoids(), **options)


def test_scores_are_accuracies_where_there_are_any_and_losses_otherwise():
    loss, accuracy = np.zeros(2), np.ones(2)
    scores = {f"{kind}_loss": loss for kind in ("support", "query", "inductive")}
    regression = Evaluation(["a", "b"], **scores)
    scores |= {name.replace("loss", "accuracy"): accuracy for name in scores}
    classification = Evaluation(["a", "b"], **scores)
    for kind in ("support", "query", "inductive"):
        assert getattr(regression, kind) is loss
        assert getattr(classification, kind) is accuracy
    assert (regression.metric, classification.metric) == ("loss", "accuracy")


class TwoClasses(TaskDistribution):
    """Points whose first coordinate is their class; labels in the form that a loss takes."""

    num_shots = num_queries = 2

    def __init__(self, label):
        self.label = label

    def sample(self, seed, num_tasks):
        numbers = tf.tile([[0, 1, 1, 0]], [num_tasks, 1])
        noise = tf.random.stateless_normal([num_tasks, 4, 1], seed)
        x = tf.concat([tf.cast(2 * numbers - 1, tf.float32)[..., None], noise], -1)
        return Episode(x, self.label(numbers), x, self.label(numbers))


def first_coordinate(outputs, activation=None):
    """A model whose outputs follow from the first coordinate of a point, -1 or 1."""
    inputs = keras.Input((2,))
    cell = TWDense(outputs, activation, mask=None, use_bias=False)
    model = keras.Model(inputs, cell(inputs))
    cell.kernel.assign([[4.0] * outputs, [0.0] * outputs])
    if outputs == 2:
        cell.kernel.assign([[-2.0, 2.0], [0.0, 0.0]])
    return model


P = 1 / (1 + np.exp(-4.0))  # of the correct class, at both outputs


@pytest.mark.parametrize(
    ("loss", "outputs", "activation", "label"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), 1, None, tf.identity),
        ("binary_crossentropy", 1, "sigmoid", lambda y: tf.cast(y, tf.float32)[..., None]),
        ("binary_crossentropy", 1, "sigmoid", lambda y: tf.cast(y, tf.bool)),
        (FewShotCrossentropy(2), 2, None, lambda y: tf.cast(y, tf.float32)),
        (FewShotCrossentropy(2, one_hot=True), 2, None, lambda y: tf.one_hot(y, 2)),
    ],
)
def test_accuracy_and_probabilities_follow_from_the_loss(loss, outputs, activation, label):
    learner = MetaLearner(first_coordinate(outputs, activation), 0.0001)
    learner.compile("sgd", loss, jit_compile=False)
    result = run(learner, TwoClasses(label), num_episodes=20, num_inner_steps=0)
    np.testing.assert_array_equal(result.query_accuracy, 1.0)
    np.testing.assert_array_equal(result.labels, [[0, 1, 1, 0]] * 20)
    expected = np.array([[P, 1 - P], [1 - P, P], [1 - P, P], [P, 1 - P]])
    np.testing.assert_allclose(result.probabilities[:, 0], [expected] * 20, rtol=1e-4)


@pytest.mark.parametrize("label", [tf.identity, lambda y: 2 * y - 1])
def test_scores_of_a_hinge_loss_have_an_accuracy_and_no_probabilities(label):
    learner = MetaLearner(first_coordinate(1), 0.0001)
    learner.compile("sgd", "hinge", jit_compile=False)
    result = run(learner, TwoClasses(label), num_episodes=20, num_inner_steps=1)
    np.testing.assert_array_equal(result.query_accuracy, 1.0)
    assert result.probabilities is None
    np.testing.assert_array_equal(result.query_loss, 0.0)


def test_scores_equal_those_of_adapting_each_task_alone():
    learner = regression_learner(cell_options={"mask": None}, seed=1)
    result = run(learner)
    assert result.metric == "loss"
    assert result.query.shape == (30, 3)
    seed = seeds.stateless_seed(0, seeds.Purpose.EVALUATION_TASKS, 0)
    episode = Sinusoids().sample(seed, 20)
    start = [v.numpy() for v in learner.model.weights]
    kernels_and_biases = [v for v in learner.model.weights if v.name != "transform"]
    mse = keras.losses.MeanSquaredError()
    for task in range(3):
        losses = [mse(episode.query_y[task], learner.model(episode.query_x[task]))]
        for _ in range(2):
            with tf.GradientTape() as tape:
                loss = mse(episode.support_y[task], learner.model(episode.support_x[task]))
            values = [v.value for v in kernels_and_biases]
            for v, g in zip(kernels_and_biases, tape.gradient(loss, values), strict=True):
                v.assign(v - 0.05 * g)
            losses.append(mse(episode.query_y[task], learner.model(episode.query_x[task])))
        np.testing.assert_allclose(result.query[task], losses, rtol=1e-4)
        learner.model.set_weights(start)


def test_two_learners_see_the_same_episodes_for_any_number_of_them():
    first, second = (
        run(regression_learner(seed=1)),
        run(regression_learner(seed=2), num_episodes=50),
    )
    assert first.fingerprints == second.fingerprints[:30]
    assert len(set(second.fingerprints)) == 50
    assert run(regression_learner(seed=1), seed=7).fingerprints != first.fingerprints


def test_selection_and_test_have_different_episodes():
    learner = regression_learner()
    selection = run(learner, purpose=seeds.Purpose.SELECTION_TASKS).fingerprints
    assert not set(selection) & set(run(learner).fingerprints)


def test_same_seed_gives_the_same_scores():
    learner = regression_learner()
    np.testing.assert_array_equal(run(learner).query, run(learner).query)


def digit_tasks(num_classes, per_class):
    images = np.random.default_rng(0).integers(0, 256, (num_classes * per_class, 4, 4, 1), np.uint8)
    return ImageClasses(images, [per_class] * num_classes, num_ways=2, num_shots=1, num_queries=1)


@pytest.fixture
def classifier():
    learner = MetaLearner(networks.dense_image_network((4, 4, 1), 2), 0.1)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    return learner


@pytest.mark.long
def test_classification_is_scored_by_accuracy(classifier):
    result = run(classifier, digit_tasks(10, 5))
    assert result.metric == "accuracy"
    assert set(np.unique(result.query)) <= {0.0, 0.5, 1.0}
    assert result.support.shape == (30,)


@pytest.mark.long
def test_repeated_episodes_are_omitted(classifier):
    # 2 classes in 2 orders, 2 x 2 ordered images each: 8 distinct episodes.
    result = run(classifier, digit_tasks(2, 2), num_episodes=8)
    assert len(set(result.fingerprints)) == 8
    with pytest.raises(ValueError, match="number of distinct episodes, which is 8. .*=9"):
        run(classifier, digit_tasks(2, 2), num_episodes=9)


@pytest.mark.long
def test_every_prediction_is_stored_with_its_class(classifier):
    result = run(classifier, digit_tasks(10, 5))
    assert result.probabilities.shape == (30, 3, 2, 2)
    np.testing.assert_allclose(result.probabilities.sum(-1), 1, rtol=1e-6)
    hits = result.probabilities.argmax(-1) == result.labels[:, None]
    np.testing.assert_allclose(hits.mean(-1), result.query)
    assert result.classes.shape == (30, 2) and set(np.unique(result.classes)) <= set(range(10))


def test_inductive_scores_predict_each_query_independently(classifier):
    """One pass per query, with the statistics of the support set, gives the same scores."""
    tasks = digit_tasks(10, 5)
    result = run(classifier, tasks, num_inner_steps=0)
    episode = tasks.sample(seeds.stateless_seed(0, seeds.Purpose.EVALUATION_TASKS, 0), 20)
    for task in range(3):
        statistics = SetStatistics()
        with FastWeightScope([], 1, statistics):
            classifier.model(episode.support_x[task])
        answers = []
        for query in episode.query_x[task]:
            with FastWeightScope([], 1, statistics.replay()):
                answers.append(classifier.model(query[None])[0])
        loss = classifier.task_loss.call(episode.query_y[task], tf.stack(answers))
        np.testing.assert_allclose(result.inductive_loss[task, 0], np.sum(loss), rtol=1e-4)
    assert np.any(result.inductive_loss != result.query_loss)


@pytest.mark.parametrize(
    "other",
    [
        Sinusoids(task_definition="paper"),  # same inputs, different targets
        Sinusoids(num_shots=5, num_queries=15),  # same points, divided differently
    ],
)
def test_different_tasks_have_different_episodes(other):
    learner = regression_learner()
    names = [run(learner, tasks, num_inner_steps=0).fingerprints for tasks in (None, other)]
    assert not set(names[0]) & set(names[1])


def test_without_set_statistics_there_are_no_inductive_scores():
    assert run(regression_learner()).inductive is None


def test_records_can_not_be_changed():
    result = run(regression_learner(), num_episodes=20, num_inner_steps=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.query_loss = None
    assert dataclasses.replace(result, labels=1).query_loss is result.query_loss


@pytest.mark.parametrize("verbose", [0, 1])
def test_progress_is_shown_on_terminals_only(verbose, capsys):
    run(regression_learner(), num_episodes=20, num_inner_steps=0, verbose=verbose)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_progress_bar_counts_episodes(monkeypatch):
    bars = []

    def bar(*arguments, progress):
        bars.append(tqdm.tqdm(None, total=arguments[2], file=io.StringIO()))
        return bars[-1]

    monkeypatch.setattr(importlib.import_module("mtnet_tf.evaluation.evaluate"), "bar", bar)
    run(regression_learner(), num_episodes=30, num_inner_steps=0, verbose=1)
    assert (bars[0].n, bars[0].total) == (30, 30)


def test_ignored_labels_do_not_count_in_the_accuracy():
    class Ignoring(TaskDistribution):
        num_shots = num_queries = 2

        def sample(self, seed, num_tasks):
            x = tf.random.stateless_normal([num_tasks, 4, 2], seed)
            y = tf.tile(tf.constant([[0, 255, 255, 255]]), [num_tasks, 1])
            return Episode(x, y, x, y)

    bias = keras.initializers.Constant(0)
    model = keras.Sequential(
        [keras.Input((2,)), TWDense(2, kernel_initializer="zeros", bias_initializer=bias)]
    )
    learner = MetaLearner(model, 0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    learner.compile("sgd", loss, run_eagerly=True)
    found = evaluate(learner, Ignoring(), num_episodes=20, num_inner_steps=1, verbose=0)
    np.testing.assert_array_equal(found.query_accuracy, 1.0)


@pytest.mark.parametrize("cache_bytes", [0, 1000])
def test_scores_do_not_depend_on_the_number_of_tasks_in_a_call(monkeypatch, cache_bytes):
    """Nor do the masks, which are drawn for all tasks of a draw."""
    module = importlib.import_module("mtnet_tf.evaluation.evaluate")
    cells = {"mask_initializer": keras.initializers.RandomNormal(seed=1)}
    learner = regression_learner(cell_options=cells, norm="batch_norm", dtype="float64")
    assert module._tasks_at_a_time(learner) == module.TASKS_PER_DRAW
    together = run(learner)
    monkeypatch.setattr(module, "_CACHE_BYTES", cache_bytes)
    assert module._tasks_at_a_time(learner) == (1 if cache_bytes == 0 else 2)
    apart = run(learner)
    assert apart.fingerprints == together.fingerprints
    for name in ("support_loss", "query_loss", "inductive_loss"):
        np.testing.assert_allclose(getattr(apart, name), getattr(together, name), rtol=1e-12)
