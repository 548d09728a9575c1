"""Episodes as users store them, through `fit`, `evaluate` and the methods for one batch."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_baselines.gradient.reptile import Reptile
from mtnet_tf import MetaLearner, Sinusoids, TWDense, networks, to_mtnet
from mtnet_tf.evaluation import evaluate
from mtnet_tf.meta import task_losses
from mtnet_tf.tasks import TaskDistribution


def new_learner(kind=MetaLearner, loss="mean_squared_error", **options):
    # Without masks, which training and validation draw from different seeds.
    network = networks.regression_network(dim_hidden=(6,), cell_options={"mask": None})
    learner = kind(network, 0.1)
    learner.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True, **options)
    return learner


@pytest.fixture
def arrays(rng):
    """Support and query sets that differ, so that exchanging them is noticed."""
    sx, qx = rng.normal(size=(6, 3, 1)), rng.normal(size=(6, 5, 1))
    return {"query_x": qx, "query_y": np.sin(qx), "support_x": sx, "support_y": 2 + np.sin(sx)}


def trained(x, **options):
    learner = new_learner()
    learner.fit(x, epochs=1, verbose=0, **options)
    return np.concatenate([np.ravel(w) for w in learner.model.get_weights()])


def test_dicts_train_like_pairs_in_every_kind_of_data(arrays):
    pairs = ((arrays["support_x"], arrays["support_y"]), (arrays["query_x"], arrays["query_y"]))
    expected = trained(pairs, batch_size=3)
    floats = {name: array.astype("float32") for name, array in arrays.items()}
    batches = [{n: a[i : i + 3] for n, a in floats.items()} for i in (0, 3)]

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return batches[index]

    forms = {
        "arrays": (arrays, {"batch_size": 3}),
        "tf.data": (tf.data.Dataset.from_tensor_slices(floats).batch(3), {}),
        "generator": (iter(batches), {"steps_per_epoch": 2}),
        "PyDataset": (Batches(), {}),
    }
    for name, (x, options) in forms.items():
        np.testing.assert_allclose(trained(x, **options), expected, atol=1e-6, err_msg=name)


def test_a_distribution_may_sample_dicts(arrays):
    class Dicts(TaskDistribution):
        num_shots, num_queries = 3, 5

        def sample(self, seed, num_tasks):
            episode = Sinusoids().sample(seed, num_tasks)
            names = ("query_x", "query_y", "support_x", "support_y")
            return {name: getattr(episode, name) for name in names}

    found = [evaluate(new_learner(), t, num_episodes=20, num_inner_steps=1, verbose=0)
             for t in (Dicts(), Sinusoids())]  # fmt: skip
    np.testing.assert_array_equal(found[0].query_loss, found[1].query_loss)


def test_weights_of_zero_remove_examples(arrays):
    weighted = {
        **arrays,
        "support_weight": np.tile([1.0, 1.0, 0.0], (6, 1)),
        "query_weight": np.tile([1.0, 0.0, 1.0, 0.0, 0.0], (6, 1)),
    }
    removed = {
        n: a[:, :2] if n.startswith("support") else a[:, ::2][:, :2] for n, a in arrays.items()
    }
    total = keras.losses.MeanSquaredError(reduction="sum")
    scores = [
        new_learner(loss=total).evaluate(x, batch_size=6, verbose=0) for x in (weighted, removed)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)


def test_a_weight_of_two_is_an_example_twice(arrays):
    total = keras.losses.MeanSquaredError(reduction="sum")
    twice = {n: np.concatenate([a, a[:, :1]], 1) for n, a in arrays.items()}
    weighted = {
        **arrays,
        "support_weight": np.tile([2.0, 1.0, 1.0], (6, 1)),
        "query_weight": np.tile([2.0, 1.0, 1.0, 1.0, 1.0], (6, 1)),
    }
    scores = [
        new_learner(loss=total).evaluate(x, batch_size=6, verbose=0) for x in (weighted, twice)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)
    adapted = [
        new_learner(loss=total).adapt(x["support_x"][0], x["support_y"][0], sample_weight=w)
        for x, w in ((arrays, [2, 1, 1]), (twice, None))
    ]
    outputs = [model.predict(arrays["query_x"][0], verbose=0) for model in adapted]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "sum"])
def test_weighted_losses_are_reduced_as_in_keras(rng, reduction):
    y, p = rng.normal(size=(2, 4, 3, 2)).astype("float32")
    weights = rng.random((4, 3)).astype("float32")
    loss = keras.losses.MeanAbsoluteError(reduction=reduction)
    expected = [loss(y[i], p[i], sample_weight=weights[i]) for i in range(4)]
    labels, predictions = tf.constant(y.reshape(12, 2)), tf.constant(p.reshape(12, 2))
    for given in (weights, weights[..., None]):
        found = task_losses(loss, labels, predictions, 4, given)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_method_that_cannot_weight_examples_says_so(arrays):
    weighted = {**arrays, "support_weight": np.ones((6, 3))}
    learner = new_learner(Reptile)
    with pytest.raises(ValueError, match="must not contain sample weights.* for Reptile"):
        learner.fit(weighted, batch_size=3, verbose=0)


def test_validation_split_holds_the_last_tasks_out(arrays):
    parts = [{n: a[s] for n, a in arrays.items()} for s in (slice(None, 4), slice(4, None))]
    options = {"batch_size": 2, "verbose": 0}
    split = new_learner().fit(arrays, validation_split=1 / 3, **options).history
    given = new_learner().fit(parts[0], validation_data=parts[1], **options).history
    assert split == given
    with pytest.raises(ValueError, match="Use `validation_data`"):
        new_learner().fit(Sinusoids(), batch_size=2, steps_per_epoch=1, validation_split=0.5)


def test_train_on_batch_is_a_step_of_fit(arrays):
    expected = trained(arrays, batch_size=6)
    learner = new_learner(metrics=["mae"])
    # Data that were sampled before must not be used again.
    learner.evaluate(Sinusoids(), batch_size=2, steps=1, verbose=0)
    before = learner.test_on_batch(arrays, return_dict=True)
    losses = learner.train_on_batch(arrays)
    assert losses[0] == pytest.approx(float(before["loss"]), rel=1e-6)
    found = np.concatenate([np.ravel(w) for w in learner.model.get_weights()])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert learner.train_on_batch(arrays, return_dict=True)["loss"] < before["loss"]


def test_a_batch_replaces_sampled_tasks_in_compiled_steps(arrays):
    learner = new_learner()
    learner.compile("sgd", "mean_squared_error", jit_compile=False)
    learner.fit(Sinusoids(), batch_size=2, steps_per_epoch=1, verbose=0)
    expected = learner.evaluate(arrays, batch_size=6, verbose=0)
    assert learner.train_on_batch(arrays)[0] == pytest.approx(expected[0], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fit", {"y": 1}, "`y` must be None, because labels are part of the episodes"),
        ("fit", {"class_weight": {0: 1.0}}, "`class_weight` must be None, because classes"),
        ("fit", {"sample_weight": [1.0]}, "`sample_weight` must be None, because weights"),
        ("evaluate", {"y": 1}, "`y` must be None"),
        ("evaluate", {"sample_weight": [1.0]}, "`sample_weight` must be None"),
        ("train_on_batch", {"y": 1}, "`y` must be None"),
        ("train_on_batch", {"class_weight": {0: 1.0}}, "`class_weight` must be None"),
        ("test_on_batch", {"sample_weight": [1.0]}, "`sample_weight` must be None"),
        ("fit", {"x": None}, "`x` must be a TaskDistribution or episodes"),
        ("evaluate", {"x": None}, "`x` must be a TaskDistribution or episodes"),
        ("train_on_batch", {"x": Sinusoids()}, "`x` must be episodes"),
        ("predict", {}, "`predict` does not adapt"),
        ("predict_on_batch", {}, "`predict` does not adapt"),
    ],
)
def test_arguments_without_meaning_for_episodes_are_rejected(arrays, name, options, message):
    method = getattr(new_learner(), name)
    with pytest.raises(ValueError, match=message):
        method(**{"x": arrays, **options})


def test_predict_takes_inputs(arrays):
    learner, x = new_learner(), arrays["query_x"][0].astype("float32")
    for outputs in (learner.predict(x, verbose=0), learner.predict_on_batch(x)):
        np.testing.assert_allclose(outputs, learner.model(x), rtol=1e-5)


def two_input_model(structure):
    inputs = {name: keras.Input((2,), name=name) for name in ("left", "right")}
    hidden = TWDense(4, "tanh", mask=None, name="first")(inputs["left"])
    hidden = keras.layers.Concatenate()([hidden, inputs["right"]])
    outputs = TWDense(3, mask=None, name="second")(hidden)
    given = inputs if structure is dict else structure(inputs.values())
    return keras.Model(given, outputs)


@pytest.mark.parametrize("structure", [dict, list, tuple])
def test_models_with_several_inputs_train_and_adapt(rng, structure):
    model = two_input_model(structure)
    both = rng.normal(size=(2, 4, 6, 2)).astype("float32")
    y = rng.integers(0, 3, (4, 6))
    x = dict(zip(("left", "right"), both, strict=True))
    x = x if structure is dict else structure(x.values())
    # The same network with one input, which it splits.
    joined = keras.Input((4,))
    parts = [joined[:, :2], joined[:, 2:]]
    single = keras.Model(joined, model(dict(zip(("left", "right"), parts, strict=True))
                                       if structure is dict else structure(parts)))  # fmt: skip
    joined_x = np.concatenate(list(both), -1)
    results = []
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for network, inputs in ((model, x), (single, joined_x)):
        learner = MetaLearner(network, 0.5, 2)
        learner.compile(keras.optimizers.SGD(0.0), loss, ["accuracy"], run_eagerly=True)
        history = learner.fit(((inputs, y), (inputs, y)), batch_size=2, verbose=0).history
        first = tf.nest.map_structure(lambda part: part[0], inputs)
        adapted = learner.adapt(first, y[0])
        results.append((history["loss"], adapted(first)))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)


def test_inputs_that_do_not_fit_the_model_are_named(rng):
    learner = MetaLearner(two_input_model(dict), 0.1)
    learner.compile("adam", "mse")
    x = rng.normal(size=(5, 2))
    for inputs, message in (
        (x, r"must be a dict with the inputs \['left', 'right'\]"),
        ([x, x], r"must be a dict with the inputs \['left', 'right'\]"),
        ({"left": x}, r"Received: a dict with \['left'\]"),
        ({"left": x, "rigth": x}, r"Received: a dict with \['left', 'rigth'\]"),
        ({"left": x, "right": x[:, :1]}, r"`support_x\['right'\]` must have shape \[n, 2\]"),
        ({"left": x, "right": x[:4]}, "must have the same number of examples"),
    ):
        with pytest.raises(ValueError, match=message):
            learner.adapt(inputs, x)


def test_a_model_with_several_outputs_is_rejected_when_the_learner_is_created():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {"a": TWDense(1)(inputs), "b": TWDense(2)(inputs)})
    with pytest.raises(ValueError, match="`model` must have one output.* with 2 outputs"):
        MetaLearner(model, 0.1)


class Residual(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.first, self.last = TWDense(units, "tanh"), TWDense(1)
        self.normalization = networks.TaskBatchNormalization()

    def call(self, inputs, training=None):
        return self.last(self.normalization(self.first(inputs)))


def test_a_subclassed_model_works_after_it_was_called(rng, tmp_path):
    x = rng.normal(size=(4, 6, 2)).astype("float32")
    y = x.sum(-1, keepdims=True)
    model = Residual(5)
    with pytest.raises(ValueError, match="`model` must be built.* Call it on data once"):
        MetaLearner(model, 0.1)
    model(x[0])
    inputs = keras.Input((2,))
    hidden = model.first(inputs)
    functional = keras.Model(inputs, model.last(model.normalization(hidden)))
    found = []
    for network in (model, functional):
        learner = MetaLearner(network, 0.1, 2)
        learner.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
        loss = learner.fit(((x, y), (x, y)), batch_size=2, verbose=0).history["loss"]
        adapted = learner.adapt(x[0], y[0])
        served = tf.saved_model.load(str(learner.export(tmp_path / str(len(found)))))
        answer = served.signatures["serving_default"](
            support_x=x[:1], support_y=y[:1], query_x=x[1:2]
        )
        found.append((loss, adapted(x[1]), answer["predictions"][0]))
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[0][2], rtol=1e-4, atol=1e-5)


def test_one_layer_to_adapt_need_not_be_in_a_list():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(1, name="out")]
    )
    for layer in ("out", model.layers[-1]):
        assert MetaLearner(model, 0.1, adapt_layers=layer).adapt_layers == ["out"]
        kinds = [type(x).__name__ for x in to_mtnet(model, layers=layer).layers]
        assert kinds == ["Dense", "TWDense"]


def test_a_distribution_may_be_a_dataclass_and_episodes_too(arrays):
    @dataclasses.dataclass
    class Scaled(TaskDistribution):
        scale: float
        num_shots: int = 3
        num_queries: int = 5

        def sample(self, seed, num_tasks):
            episode = Sinusoids().sample(seed, num_tasks)
            return episode._replace(query_y=self.scale * episode.query_y)

    @dataclasses.dataclass
    class Arrays:
        query_x: np.ndarray
        query_y: np.ndarray
        support_x: np.ndarray
        support_y: np.ndarray

    learner = new_learner()
    learner.fit(Scaled(2.0), batch_size=2, steps_per_epoch=1, verbose=0)
    found = learner.evaluate(Arrays(**arrays), batch_size=6, verbose=0)
    assert found == learner.evaluate(arrays, batch_size=6, verbose=0)


def test_eager_batches_may_have_weights(arrays):
    weights = np.ones((6, 3)), np.ones((6, 5))
    plain = ((arrays["support_x"], arrays["support_y"]), (arrays["query_x"], arrays["query_y"]))
    weighted = tuple((*half, w) for half, w in zip(plain, weights, strict=True))
    scores = [new_learner().test_on_batch(x) for x in (plain, weighted)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)


def test_predict_takes_inputs_with_the_names_of_sets():
    inputs = {"query": keras.Input((2,), name="query"), "key": keras.Input((2,), name="key")}
    model = keras.Model(inputs, TWDense(1)(keras.layers.Concatenate()(list(inputs.values()))))
    learner = MetaLearner(model, 0.1)
    learner.compile("sgd", "mse", run_eagerly=True)
    x = {"query": np.ones([3, 2], "float32"), "key": np.zeros([3, 2], "float32")}
    np.testing.assert_allclose(learner.predict(x, verbose=0), model(x), rtol=1e-6)


def test_labels_of_a_subclassed_model_are_checked(rng):
    class Classifier(keras.Model):
        def __init__(self):
            super().__init__()
            self.cell = TWDense(3)

        def call(self, x):
            return self.cell(x)

    model, x = Classifier(), rng.normal(size=(2, 3, 2)).astype("float32")
    model(x[0])
    learner = MetaLearner(model, 0.1)
    learner.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True), run_eagerly=True)
    y = np.tile([1, 2, 3], (2, 1))
    with pytest.raises(ValueError, match="`support_y` must be class numbers from 0 to 2"):
        learner.fit(((x, y), (x, y)), batch_size=2, verbose=0)
