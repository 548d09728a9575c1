"""Saved files are loaded in another process and by later versions."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from mtnet_tf import (
    Episode,
    FewShotCrossentropy,
    MetaLearner,
    Sinusoids,
    networks,
)
from mtnet_tf.experiments.checkpoint import load_learner
from support import fresh_process, layer_table

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"

LOAD_ALL = """
import sys
from pathlib import Path
import keras, numpy as np
import mtnet_tf

folder = Path(sys.argv[1])
inputs = np.load(folder / "inputs.npz")
found = {}
for path in sorted(folder.glob("*.keras")):
    found[path.stem] = keras.saving.load_model(path)(inputs[path.stem]).numpy()
learner = keras.saving.load_model(folder / "learner.keras")
tasks = mtnet_tf.Sinusoids()
learner.fit(tasks, batch_size=2, steps_per_epoch=1, verbose=0)
found["next_step"] = learner(inputs["learner"]).numpy()
np.savez(folder / "found.npz", **found)
"""


def new_learner():
    model = networks.regression_network(dim_hidden=(4,), norm="batch_norm")
    learner = MetaLearner(model, 0.01)
    learner.compile(keras.optimizers.Adam(0.01), "mean_squared_error", run_eagerly=True)
    return learner


def train(learner, steps):
    learner.fit(Sinusoids(), batch_size=2, steps_per_epoch=steps, verbose=0)


def layer_models():
    """One model of every public layer."""
    for cls, arguments, shape in {row[0]: row for row in layer_table.TABLE}.values():
        yield cls.__name__, keras.Sequential([keras.Input(shape), cls(**arguments)]), shape


@pytest.mark.long
def test_layers_learners_and_adapted_models_load_in_a_fresh_process(tmp_path, rng):
    learner = new_learner()
    train(learner, 2)
    x = rng.normal(size=(5, 1)).astype("float32")
    adapted = learner.adapt(x, np.sin(x))
    models = {"learner": (learner, (1,)), "adapted": (adapted, (1,))}
    models |= {name: (model, shape) for name, model, shape in layer_models()}
    inputs, expected = {}, {}
    for name, (model, shape) in models.items():
        inputs[name] = rng.normal(size=(6, *shape)).astype("float32")
        expected[name] = np.asarray(model(inputs[name]))
        model.save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "inputs.npz", **inputs)
    fresh_process.run(LOAD_ALL, tmp_path, with_package=True)
    train(learner, 1)
    expected["next_step"] = np.asarray(learner(inputs["learner"]))
    found = np.load(tmp_path / "found.npz")
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("version", sorted(p.stem for p in CHECKPOINTS.glob("*.keras")))
def test_checkpoints_of_older_versions_load_and_continue(version):
    with zipfile.ZipFile(CHECKPOINTS / f"{version}.keras") as file:
        saved_by = json.loads(file.read("metadata.json"))["keras_version"]
    if as_numbers(keras.__version__) < as_numbers(saved_by):
        pytest.skip(f"saved by Keras {saved_by}, and Keras loads files of older versions only")
    learner = load_learner(CHECKPOINTS / f"{version}.keras")
    expected = np.load(CHECKPOINTS / f"{version}.npz")
    x, y, query = (expected[name] for name in ("support_x", "support_y", "query_x"))
    for statistics in ("support", "query"):
        answers = learner.adapt(x, y, statistics=statistics)(query)
        np.testing.assert_allclose(answers, expected[statistics], rtol=1e-4, atol=1e-5)
    assert int(learner.optimizer.iterations) == 3
    train_on(learner, expected)
    np.testing.assert_allclose(learner(query), expected["next_step"], rtol=1e-3, atol=1e-4)


def as_numbers(version):
    """(3, 15) of "3.15.1": minor versions of Keras write what older ones cannot read."""
    return tuple(map(int, version.split(".")[:2]))


def train_on(learner, data):
    """One meta-step on the arrays of a stored checkpoint."""
    episode = Episode(*(data[n][None] for n in ("support_x", "support_y", "query_x", "query_y")))
    learner.compile(learner.optimizer, learner.task_loss, run_eagerly=True)
    learner.fit(episode, verbose=0)


def keep_checkpoint(version):
    """Writes a checkpoint. Call it before a release that changes the format, in this folder:

    python -c "import test_saving; test_saving.keep_checkpoint('0.2.0')"
    """
    model = networks.convolutional_network((8, 8, 1), 3, num_filters=3)
    learner = MetaLearner(model, 0.3, 2, seed=1)
    learner.compile(keras.optimizers.Adam(0.01), FewShotCrossentropy(1), run_eagerly=True)
    rng = np.random.default_rng(1)
    x = rng.random((2, 3, 8, 8, 1)).astype("float32")
    data = {"support_x": x[0], "query_x": x[1]}
    data["support_y"] = data["query_y"] = np.arange(3, dtype="int32")
    for _ in range(3):
        train_on(learner, data)
    learner.save(CHECKPOINTS / f"{version}.keras")
    for statistics in ("support", "query"):
        answers = learner.adapt(x[0], data["support_y"], statistics=statistics)(x[1])
        data[statistics] = answers.numpy()
    train_on(learner, data)
    np.savez_compressed(CHECKPOINTS / f"{version}.npz", **data, next_step=learner(x[1]).numpy())
