import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from mtnet_tf import MetaLearner, Sinusoids, networks
from mtnet_tf.diagnostics import analysis
from mtnet_tf.experiments import recipes, reports, run_folder
from mtnet_tf.experiments import train as training
from mtnet_tf.experiments.checkpoint import load_learner, read_validation
from mtnet_tf.experiments.flags import AUTHORS, default_of, resolve
from mtnet_tf.experiments.settings import Settings, check_same_run
from mtnet_tf.experiments.training_run import train_run


@pytest.fixture
def run(tmp_path):
    run = run_folder.Run(tmp_path / "run")
    run.start(Settings(), "command")
    return run


def new_learner():
    learner = MetaLearner(networks.regression_network(dim_hidden=(6,)), 0.01)
    learner.compile(keras.optimizers.Adam(1e-3), "mean_squared_error", jit_compile=False)
    return learner


def train(learner, run, num_iterations, **options):
    options = {"meta_batch_size": 4, "validation_interval": 4, "verbose": 0, **options}
    training.train(learner, Sinusoids(), Sinusoids(), run, num_iterations=num_iterations, **options)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0, 10, 5), [(2, 5)]),
        ((0, 12, 5), [(2, 5), (1, 2)]),
        ((3, 12, 5), [(1, 2), (1, 5), (1, 2)]),
        ((3, 4, 5), [(1, 1)]),
        ((10, 10, 5), []),
        ((12, 10, 5), []),
    ],
)
def test_segments_end_at_multiples_of_the_interval(arguments, expected):
    assert training.segments(*arguments) == expected


@pytest.mark.long
def test_files_of_a_run(run):
    train(new_learner(), run, 18, max_steps_per_execution=4)
    kept = sorted(p.name for p in run.checkpoints.iterdir())
    assert kept == ["best.keras", *[f"iteration_{i:08d}.keras" for i in (12, 16, 18)]]
    rows = run.rows()
    assert [row["iteration"] for row in rows] == [4, 8, 12, 16, 18]
    assert {"loss", "support_loss", "val_loss", "active_fraction"} <= set(rows[0])
    assert (run.path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert any((run.path / "tensorboard").iterdir())
    best = load_learner(run.find())
    lowest = min(rows, key=lambda row: row["val_loss"])
    assert int(best.optimizer.iterations) == lowest["iteration"]
    assert not list(run.path.rglob("*partial*"))


def test_a_killed_run_resumes_to_the_same_bits(run, tmp_path):
    whole = new_learner()
    train(whole, run, 10)
    other = run_folder.Run(tmp_path / "killed")
    other.start(Settings(), "")
    train(new_learner(), other, 6)
    # Rows written after the newest checkpoint are of the killed run.
    other.write_rows([*other.rows(), {**other.rows()[-1], "iteration": 7.0}])
    resumed = load_learner(other.latest())
    train(resumed, other, 10)
    for ours, theirs in zip(resumed.model.variables, whole.model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [row["iteration"] for row in other.rows()] == [4, 6, 7, 8, 10]
    np.testing.assert_array_equal(run.rows()[-1]["val_loss"], other.rows()[-1]["val_loss"])


def test_an_interrupted_run_keeps_its_state(run, monkeypatch):
    learner = new_learner()

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    fit = learner.fit
    learner.fit = lambda *a, callbacks, **k: fit(*a, callbacks=[*callbacks, Interrupt()], **k)
    with pytest.raises(KeyboardInterrupt):
        train(learner, run, 8)
    assert run.latest().name == "iteration_00000003.keras"


@pytest.mark.long
def test_a_diverged_run_stops_and_keeps_its_checkpoints(run):
    learner = new_learner()
    train(learner, run, 4)
    learner.step_size = 1e30
    with pytest.raises(ValueError, match="Training diverged: a loss is not finite at iteration 8"):
        train(learner, run, 8)
    assert run.latest().name == "iteration_00000004.keras"


def test_missing_and_broken_checkpoints_raise_an_error(run, tmp_path):
    with pytest.raises(ValueError, match="No trained run in .*Train one first"):
        run_folder.Run(tmp_path / "nothing").config()
    with pytest.raises(ValueError, match="No checkpoint of iteration 5 .* none"):
        run.find(5)
    path = run.checkpoints / "iteration_00000004.keras"
    new_learner().save(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (b"PK broken", whole[:-40], whole[:middle] + b"xxxx" + whole[middle + 4 :]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is not a readable checkpoint of this package"):
            load_learner(path)


@pytest.mark.long
def test_clear_renames_the_folder_of_an_older_run(run):
    train(new_learner(), run, 4)
    assert run.has_checkpoints()
    assert run.clear() == run.path.with_name("run.old1")
    assert run.path.with_name("run.old1").is_dir() and not run.path.exists()


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "truncated": lambda path: path.write_text(path.read_text()[:-30]),
    "no header": lambda path: path.write_text("".join(path.read_text().splitlines(True)[1:])),
    "other columns": lambda path: path.write_text("a,b\n1,2\n"),
    "not a number": lambda path: path.write_text("iteration,val_loss\n4,nan\n"),
    "binary": lambda path: path.write_bytes(b"\xff\x00" * 40),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


def continue_run(run, losses, say=print):
    """Continues a run for 4 iterations per validation, and fakes the losses of the validations."""
    learner = new_learner()
    start = run.num_iterations()
    learner.optimizer.iterations.assign(start)

    def fit(*args, callbacks, **options):
        (recorder,) = callbacks
        recorder.set_model(learner)
        for loss in losses:
            recorder.on_epoch_begin(0)
            learner.optimizer.iterations.assign_add(4)
            recorder.on_train_batch_end(0)
            recorder.on_epoch_end(0, {"loss": 1.0, "val_loss": loss})

    learner.fit = fit
    train(learner, run, start + 4 * len(losses), say=say, summaries=False)


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """A run whose best checkpoint is that of iteration 4."""
    run = run_folder.Run(tmp_path_factory.mktemp("good"))
    run.start(Settings(), "command")
    continue_run(run, [0.5, 0.75])
    return run


@pytest.fixture
def copy(good_run, tmp_path):
    shutil.copytree(good_run.path, tmp_path / "copy")
    return run_folder.Run(tmp_path / "copy")


def best_iteration(run):
    return int(load_learner(run.best).optimizer.iterations)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_worse_checkpoint_does_not_replace_the_best_one(copy, damage):
    """Whatever happened to metrics.csv: the score is in the file of the checkpoint."""
    DAMAGES[damage](copy.path / "metrics.csv")
    lines = []
    continue_run(copy, [0.625], lines.append)
    assert best_iteration(copy) == 4
    assert copy.rows()[-1]["iteration"] == 12 and copy.rows()[-1]["val_loss"] == 0.625
    assert (copy.path / "curve.png").is_file()
    if damage != "not a number":
        assert len(lines) == 1 and "metrics.csv" in lines[0]
    if damage not in ("missing", "not a number"):
        assert (copy.path / "metrics.damaged1").exists() and "metrics.damaged1" in lines[0]


def test_a_better_checkpoint_replaces_the_best_one_without_metrics(copy):
    (copy.path / "metrics.csv").unlink()
    continue_run(copy, [0.25])
    assert best_iteration(copy) == 12
    assert read_validation(copy.best)["val_loss"] == 0.25


def test_a_checkpoint_contains_the_metrics_of_its_validation(good_run):
    for row, path in zip(good_run.rows(), (good_run.best, good_run.latest()), strict=True):
        found = read_validation(path)
        assert found.keys() == row.keys()
        assert found["iteration"] == row["iteration"] and found["val_loss"] == row["val_loss"]
    assert good_run.num_iterations() == 8


def without_validation(path):
    """Removes what version 0.1.0 did not write."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if "mtnet" not in name}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_the_best_score_of_an_older_run_is_in_metrics(copy):
    without_validation(copy.best)
    lines = []
    continue_run(copy, [0.625], lines.append)
    assert best_iteration(copy) == 4 and not lines


@pytest.mark.long
def test_the_best_checkpoint_of_an_older_run_is_validated_again(run):
    train(new_learner(), run, 4)
    score = read_validation(run.best)["val_loss"]
    without_validation(run.best)
    (run.path / "metrics.csv").write_text("")
    lines = []
    # The validation gives the same number again, to seven digits.
    continue_run(run, [score * (1 + 1e-6)], lines.append)
    assert best_iteration(run) == 4
    assert "Validating it again" in lines[-1]
    continue_run(run, [score * (1 - 1e-6)])
    assert best_iteration(run) == 12


def test_a_kill_between_the_two_checkpoints_does_not_change_the_best_one(copy, monkeypatch):
    """The next process repeats the iteration, whose score is that of best.keras."""
    replace = Path.replace

    def kill(path, target):
        if target.name == "iteration_00000012.keras":
            raise SystemExit
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", kill)
    with pytest.raises(SystemExit):
        continue_run(copy, [0.25])
    monkeypatch.undo()
    assert copy.num_iterations() == 8 and best_iteration(copy) == 12
    before = copy.best.read_bytes()
    continue_run(copy, [0.25])
    assert copy.num_iterations() == 12 and copy.best.read_bytes() == before


def test_other_files_next_to_the_checkpoints_are_not_checkpoints(copy):
    for name in ("iteration_final.keras", "iteration_00000009 (copy).keras", ".partial.7.x.keras"):
        (copy.checkpoints / name).touch()
    assert copy.latest().name == "iteration_00000008.keras"
    with pytest.raises(ValueError, match=r"Available iterations: \[4, 8\]"):
        copy.find(5)


def test_active_fraction_weighs_layers_by_their_size():
    model = networks.regression_network(dim_hidden=(3,))  # 1*3+3 and 3*1+1 weights
    model.layers[0].kernel_mask.logits.assign([50.0, -50.0, -50.0])
    assert analysis.active_fraction(model) == pytest.approx((2 + 0.5 * 4) / 10)
    maml = networks.regression_network(cell_options={"mask": None})
    assert analysis.active_fraction(maml) == 1.0


@pytest.mark.parametrize(
    ("total", "interval"), [(60000, 2000), (40000, 1000), (3000, 100), (9, 50)]
)
def test_validation_intervals_are_round_numbers(total, interval):
    assert training.default_interval(total) == interval


def test_recipes_are_the_authors_scripts():
    five, twenty = recipes.recipe("omniglot", 5), recipes.recipe("omniglot", 20)
    names = ("num_meta_iterations", "meta_batch_size", "num_shots", "step_size")
    assert [five[n] for n in names] == [40000, 32, 1, 0.4]
    assert [twenty[n] for n in names] == [40000, 16, 1, 0.1]
    assert [recipes.recipe("sinusoid")[n] for n in names] == [60000, 4, 10, 0.01]
    assert [recipes.recipe("miniimagenet")[n] for n in names] == [60000, 4, 1, 0.01]
    with pytest.raises(ValueError, match="`data_source` must be one of"):
        recipes.recipe("cifar")


def test_given_values_precede_the_recipe_and_the_recipe_the_default():
    settings = resolve({"data_source": "omniglot", "step_size": 0.2})
    assert (settings.step_size, settings.meta_batch_size, settings.temperature) == (0.2, 32, 1.0)
    bare = resolve({"data_source": "omniglot", "recipe": "none"})
    assert bare == Settings(data_source="omniglot", recipe="none")


def test_bare_defaults_are_the_originals():
    bare = {name: default_of(name) for name in AUTHORS}
    assert len(bare) == 32
    expected = {"datasource": "sinusoid", "metatrain_iterations": 15000, "meta_batch_size": 25}
    expected |= {"update_batch_size": 5, "update_lr": 0.001, "share_M": False}
    expected |= {"norm": "batch_norm"}
    assert {name: bare[name] for name in expected} == expected


def test_different_settings_have_different_run_names():
    base = resolve({"data_source": "omniglot"})
    changes = [
        {}, {"use_transform": True}, {"use_mask": True}, {"use_mask": True, "unit_mask": False},
        {"seed": 1},
        {"synthetic": True}, {"step_size": 0.1}, {"num_filters": 32}, {"norm": "layer_norm"},
        {"class_split": "original"}, {"first_order": True}, {"soft_masks": True},
    ]  # fmt: skip
    names = [reports.run_name(base.replace(**change)) for change in changes]
    assert len(set(names)) == len(names)
    oracles = [
        {"data_source": "sinusoid", "baseline": "oracle", "use_transform": t} for t in (True, False)
    ]
    assert len({reports.run_name(resolve(oracle)) for oracle in oracles}) == 2
    tested = base.replace(train=False, step_size=0.01, trained_step_size=0.4)
    assert reports.run_name(tested) == names[0]


def test_a_run_cannot_be_resumed_with_other_settings():
    trained = resolve({})
    check_same_run(resolve({"num_meta_iterations": 7, "run_eagerly": True}), trained)
    for change in ({"use_transform": True}, {"step_size": 0.5}, {"num_inner_steps": 3}):
        (name,) = change
        with pytest.raises(
            ValueError, match=f"`{name}` must be .*, the value that the run in this folder"
        ):
            check_same_run(resolve(change), trained)
    check_same_run(resolve({"step_size": 0.5, "train": False}), trained, evaluates=True)
    with pytest.raises(ValueError, match="`use_transform` must be"):
        check_same_run(resolve({"use_transform": True, "train": False}), trained, evaluates=True)


@pytest.mark.parametrize("text", ["{}", "{", '{"settings": 3}'])
def test_error_for_an_invalid_config_names_the_file(run, text):
    (run.path / "config.json").write_text(text)
    with pytest.raises(ValueError, match="config.json (must contain|is not readable)"):
        run.config()


def test_only_one_named_checkpoint_is_evaluated_on_the_test_split(run):
    run.check_single_test_checkpoint("val", 5)
    run.check_single_test_checkpoint("test", 9)
    run.check_single_test_checkpoint("test", 9)
    run.check_single_test_checkpoint("test", -1)
    with pytest.raises(
        ValueError, match="Only one named checkpoint .* Received: checkpoint_iteration=5, after"
    ):
        run.check_single_test_checkpoint("test", 5)


def test_config_contains_command_and_versions(run):
    config = json.loads((run.path / "config.json").read_text())
    assert config["command"] == "command"
    assert {"tensorflow", "keras", "numpy", "mtnet_tf", "python"} == set(config["versions"])


def test_train_run_requires_the_function_that_builds_the_learner(run):
    with pytest.raises(TypeError, match="build"):
        train_run(Settings(method="metasgd"), run, "command")
