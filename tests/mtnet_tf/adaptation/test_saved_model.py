import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_baselines.gradient.meta_sgd import MetaSGDRule
from mtnet_tf import FewShotCrossentropy, MetaLearner, TWDense, networks
from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.adaptation.saved_model import describe_update_rule, read_metadata
from mtnet_tf.meta import output_kind, probabilities
from support import fresh_process

SHAPE, WAYS = (8, 8, 1), 3

# In a process that cannot import this package: every signature, by name only.
SERVE = """
import sys
import numpy as np
import tensorflow as tf

found = {}
for kind, output in (("images", "probabilities"), ("sines", "predictions")):
    data = {k: tf.constant(v) for k, v in np.load(f"{kind}.npz").items()}
    support = {k: data[k] for k in ("support_x", "support_y")}
    signatures = tf.saved_model.load(kind).signatures
    learned = signatures["adapt"](**support)
    answers = {
        "predict": signatures["predict"](query_x=data["query_x"], **learned),
        "adapt_and_predict": signatures["adapt_and_predict"](query_x=data["query_x"], **support),
        "serving_default": signatures["serving_default"](query_x=data["query_x"], **support),
        "predict_initial": signatures["predict_initial"](query_x=data["query_x"]),
    }
    found |= {f"{kind}/{name}": answer[output].numpy() for name, answer in answers.items()}
np.savez("found.npz", **found)
try:
    import mtnet_tf
except ImportError:
    print("served without the package")
"""


def image_learner(num_inner_steps=1):
    cells = {"mask_initializer": "random_normal"}
    model = networks.convolutional_network(SHAPE, WAYS, num_filters=2, cell_options=cells)
    learner = MetaLearner(model, 0.3, num_inner_steps)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    return learner


def regression_learner(loss="mean_squared_error"):
    learner = MetaLearner(networks.regression_network(dim_hidden=(5,)), 0.1, 3)
    learner.compile("adam", loss, jit_compile=False)
    return learner


def expected_outputs(learner, data, activation, **options):
    adapter = Adapter(learner, **options)
    support_x, support_y, query_x = (tf.constant(data[n]) for n in data)
    adapted = adapter.predict(adapter.adapt(support_x, support_y), query_x)
    return activation(adapted), activation(adapter.predict_initial(query_x))


@pytest.mark.long
def test_a_process_without_the_package_serves_what_python_computes(tmp_path, rng):
    images = {
        "support_x": rng.random((2, 7, *SHAPE)).astype("float32"),  # uneven shots, two tasks
        "support_y": np.array([[0, 0, 0, 1, 1, 2, 2], [2, 1, 0, 2, 1, 0, 2]], "int32"),
        "query_x": rng.random((2, 4, *SHAPE)).astype("float32"),
    }
    x = rng.normal(size=(3, 9, 1)).astype("float32")
    sines = {"support_x": x[:, :5], "support_y": np.sin(x[:, :5]), "query_x": x[:, 5:]}
    learners = {"images": image_learner(), "sines": regression_learner()}
    data = {"images": images, "sines": sines}
    for kind, learner in learners.items():
        learner.export(tmp_path / kind)
        np.savez(tmp_path / f"{kind}.npz", **data[kind])
    output = fresh_process.run(SERVE, tmp_path, with_package=False)
    assert "served without the package" in output
    found = np.load(tmp_path / "found.npz")
    for kind, activation in (("images", tf.nn.softmax), ("sines", tf.identity)):
        adapted, initial = expected_outputs(learners[kind], data[kind], activation)
        for name in ("predict", "adapt_and_predict", "serving_default"):
            np.testing.assert_allclose(found[f"{kind}/{name}"], adapted, atol=1e-5)
        np.testing.assert_allclose(found[f"{kind}/predict_initial"], initial, atol=1e-5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A regression learner, its export with sampled masks and query statistics, the options."""
    learner = regression_learner()
    options = {"masks": 7, "statistics": "query", "num_inner_steps": 2}
    path = tmp_path_factory.mktemp("exports") / "models" / "1"
    return learner, learner.export(path, preparation={"unit": "radians"}, **options), options


def test_number_of_steps_and_sampled_masks_are_fixed_at_export(exported, rng):
    learner, path, options = exported
    x = rng.normal(size=(2, 6, 1)).astype("float32")
    data = {"support_x": x[:, :4], "support_y": x[:, :4] ** 2, "query_x": x[:, 4:]}
    serve = tf.saved_model.load(path).signatures["adapt_and_predict"]
    inputs = {k: tf.constant(v) for k, v in data.items()}
    answers = [serve(**inputs)["predictions"] for _ in range(2)]
    np.testing.assert_array_equal(*answers)
    expected, _ = expected_outputs(learner, data, tf.identity, **options)
    np.testing.assert_allclose(answers[0], expected, atol=1e-5)


def test_the_metadata_describe_the_export(exported):
    learner, path, _ = exported
    metadata = read_metadata(path)
    assert metadata["task"] == "regression" and metadata["input_shape"] == [1]
    assert (metadata["num_inner_steps"], metadata["masks"]) == (2, 7)
    assert (metadata["update_rule"], metadata["step_size"]) == ("GradientDescent", 0.1)
    assert metadata["preparation"] == {"unit": "radians"}
    assert {"tensorflow", "keras", "mtnet_tf"} <= set(metadata["versions"])
    predict = metadata["signatures"]["predict"]
    weights = set(metadata["signatures"]["adapt"]["outputs"])
    assert set(predict["inputs"]) == weights | {"query_x"}
    assert len(weights) == len(learner.task_weights)


def test_an_export_replaces_an_older_one_and_nothing_else(exported, tmp_path):
    learner, path, _ = exported
    learner.export(path, statistics="query", num_inner_steps=0, masks=7)
    assert read_metadata(path)["num_inner_steps"] == 0
    assert [p.name for p in path.parent.iterdir()] == ["1"]
    (tmp_path / "precious.txt").write_text("")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "mtnet_tf.json").write_text(json.dumps(["not ours"]))
    for taken in (tmp_path, tmp_path / "precious.txt"):
        with pytest.raises(ValueError, match="is not a SavedModel written by|must be a folder"):
            learner.export(taken)
    assert (tmp_path / "precious.txt").exists()


def test_an_export_that_fails_keeps_the_older_one(exported, monkeypatch):
    learner, path, _ = exported

    def interrupted(module, folder, signatures):
        Path(folder, "half").write_text("")
        raise KeyboardInterrupt

    before = read_metadata(path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tf.saved_model, "save", interrupted)
        learner.export(path, num_inner_steps=0)
    assert read_metadata(path) == before
    assert [p.name for p in path.parent.iterdir()] == ["1"]


def test_the_loss_determines_the_kind_of_outputs_and_labels():
    losses = keras.losses
    assert output_kind(FewShotCrossentropy(1)) == ("logits", True)
    assert output_kind(losses.SparseCategoricalCrossentropy(from_logits=True)) == ("logits", True)
    assert output_kind(losses.SparseCategoricalCrossentropy()) == ("probabilities", True)
    named = losses.get("categorical_crossentropy")
    assert output_kind(named) == ("probabilities", False)
    assert output_kind(losses.get("mse")) == ("predictions", False)


def test_probabilities_follow_from_logits_or_from_some_of_a_models_probabilities():
    outputs = tf.constant([[0.6, 0.2], [0.0, 0.0]])
    found = probabilities(keras.losses.SparseCategoricalCrossentropy(), outputs)
    np.testing.assert_allclose(found, [[0.75, 0.25], [0.5, 0.5]], rtol=1e-6)
    logits = tf.math.log(tf.constant([[3.0, 1.0]]))
    np.testing.assert_allclose(
        probabilities(FewShotCrossentropy(1), logits), [[0.75, 0.25]], rtol=1e-6
    )


@pytest.mark.parametrize("classification", [None, True])
def test_an_export_of_fewer_ways_than_outputs_gives_probabilities_that_sum_to_one(
    classification, tmp_path, rng
):
    model = keras.Sequential([keras.Input((2,)), TWDense(4, activation="softmax", mask=None)])
    learner = MetaLearner(model, 0.1)
    learner.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    learner.export(tmp_path / "1", num_ways=2, classification=classification)
    serve = tf.saved_model.load(tmp_path / "1").signatures["predict_initial"]
    x = rng.normal(size=(1, 5, 2)).astype("float32")
    full = model(x[0]).numpy()[:, :2]
    found = serve(query_x=tf.constant(x))["probabilities"][0]
    np.testing.assert_allclose(found, full / full.sum(1, keepdims=True), rtol=1e-5)


def test_an_export_contains_what_the_update_rule_has_learned(tmp_path, rng):
    model = networks.regression_network(dim_hidden=(3,), cell_options={"mask": None})
    learner = MetaLearner(model, update_rule=MetaSGDRule(0.05))
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    learner.export(tmp_path / "1")
    x = rng.normal(size=(1, 6, 1)).astype("float32")
    data = {"support_x": x[:, :4], "support_y": x[:, :4] ** 2, "query_x": x[:, 4:]}
    serve = tf.saved_model.load(tmp_path / "1").signatures["adapt_and_predict"]
    found = serve(**{k: tf.constant(v) for k, v in data.items()})["predictions"]
    np.testing.assert_allclose(found, expected_outputs(learner, data, tf.identity)[0], atol=1e-5)


@pytest.mark.parametrize("variable", [keras.Variable, tf.Variable])
def test_an_export_contains_a_step_size_that_is_a_variable(variable, tmp_path, rng):
    model = networks.regression_network(dim_hidden=(3,), cell_options={"mask": None})
    x = rng.normal(size=(1, 6, 1)).astype("float32")
    data = {"support_x": x[:, :4], "support_y": x[:, :4] ** 2, "query_x": x[:, 4:]}
    learner = MetaLearner(model, variable(0.25))
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    learner.export(tmp_path / "1")
    serve = tf.saved_model.load(tmp_path / "1").signatures["adapt_and_predict"]
    found = serve(**{k: tf.constant(v) for k, v in data.items()})["predictions"]
    np.testing.assert_allclose(found, expected_outputs(learner, data, tf.identity)[0], atol=1e-5)
    assert read_metadata(tmp_path / "1")["step_size"] == 0.25


class StubLearner:
    """A learner with an update rule; `step_size` may raise, as it does for other rules."""

    def __init__(self, update_rule, step_size=None):
        self.update_rule = update_rule
        self._step_size = step_size

    @property
    def step_size(self):
        if self._step_size is None:
            raise ValueError("The update rule has no step size.")
        return self._step_size


@pytest.mark.parametrize(
    ("step_size", "expected"),
    [
        (0.25, 0.25),
        (tf.Variable(0.25), 0.25),
        ([0.1, 0.2], None),
        (keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), None),
        (None, None),
    ],
)
def test_the_metadata_contain_the_step_size_if_it_is_one_number(step_size, expected):
    rule = MetaSGDRule(0.05)
    found = describe_update_rule(StubLearner(rule, step_size))
    assert found == {"update_rule": "MetaSGDRule", "step_size": expected}


def crossentropy(labels, logits):
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def test_a_function_of_class_numbers_needs_classification_to_be_set(tmp_path):
    learner = MetaLearner(keras.Sequential([keras.Input((2,)), TWDense(3, mask=None)]), 0.1)
    learner.compile("adam", crossentropy, jit_compile=False)
    with pytest.raises(ValueError, match="`classification` must be True if the loss"):
        learner.export(tmp_path / "1")
    learner.export(tmp_path / "1", classification=True)
    assert read_metadata(tmp_path / "1")["num_ways"] == 3


@pytest.mark.parametrize("structure", [dict, list])
def test_a_model_with_two_inputs_has_a_signature_argument_for_each(rng, tmp_path, structure):
    inputs = {name: keras.Input((1,), name=name) for name in ("sum", "ids-part")}
    given = inputs if structure is dict else list(inputs.values())
    outputs = TWDense(1)(keras.layers.Concatenate()(list(inputs.values())))
    learner = MetaLearner(keras.Model(given, outputs), 0.1)
    learner.compile("adam", "mse", jit_compile=False)
    x = rng.normal(size=(2, 5, 1)).astype("float32")
    y = x[0] + x[1]
    served = tf.saved_model.load(str(learner.export(tmp_path / "1"))).signatures
    support = {"support_x_sum": x[:1], "support_x_ids_part": x[1:], "support_y": y[None]}
    query = {"query_x_sum": x[1:], "query_x_ids_part": x[:1]}
    answer = served["serving_default"](**support, **query)["predictions"][0]
    parts = {"sum": x[0], "ids-part": x[1]} if structure is dict else [x[0], x[1]]
    adapted = learner.adapt(parts, y)
    swapped = {"sum": x[1], "ids-part": x[0]} if structure is dict else [x[1], x[0]]
    np.testing.assert_allclose(answer, adapted(swapped), rtol=1e-5)
    learned = served["adapt"](**support)
    np.testing.assert_allclose(served["predict"](**learned, **query)["predictions"][0], answer)
    assert read_metadata(tmp_path / "1")["input_shape"] == {"sum": [1], "ids-part": [1]}


@pytest.mark.slow
def test_saved_model_cli_shows_named_inputs_and_outputs(exported):
    command = "from tensorflow.python.tools.saved_model_cli import main; main()"
    shown = subprocess.run(
        [sys.executable, "-c", command, "show", "--dir", str(exported[1]), "--all"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in ("adapt", "predict", "adapt_and_predict", "predict_initial", "serving_default"):
        assert f"signature_def['{name}']" in shown
    for text in ("inputs['support_x']", "inputs['support_y']", "outputs['predictions']"):
        assert text in shown
