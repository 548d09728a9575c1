import csv
import json

import numpy as np
import pytest

from mtnet_tf.evaluation.evaluate import Evaluation
from mtnet_tf.experiments import evaluation_report, run_folder
from mtnet_tf.experiments.flags import resolve

SETTINGS = resolve({"data_source": "omniglot", "num_ways": 2, "num_shots": 1})


@pytest.fixture
def run(tmp_path):
    run = run_folder.Run(tmp_path / "run")
    run.start(SETTINGS, "command")
    return run


def classification(num_classes=6, num_episodes=50):
    """Answers after 0 and 1 step; class 0 is always mistaken for the other class."""
    rng = np.random.default_rng(0)
    classes = np.stack([rng.permutation(num_classes)[:2] for _ in range(num_episodes)])
    labels = np.tile([0, 1], (num_episodes, 1))
    right = np.where(np.take_along_axis(classes, labels, 1) == 0, 0.2, 0.8)  # [E, m]
    probabilities = np.where(np.eye(2)[labels] > 0, right[..., None], 1 - right[..., None])
    probabilities = np.stack([np.full_like(probabilities, 0.5), probabilities], 1)
    accuracy = (probabilities.argmax(-1) == labels[:, None]).mean(-1)
    loss = rng.random((num_episodes, 2))
    names = [f"episode{i}" for i in range(num_episodes)]
    return Evaluation(
        names, loss[:, 0], loss, loss, accuracy[:, 0], accuracy, accuracy - 0.25,
        probabilities, labels, classes,
    )  # fmt: skip


def write(run, evaluation, class_names):
    table = evaluation_report.write(run, evaluation, SETTINGS, "test", 9, class_names=class_names)
    return table, json.loads((run.path / "test_ubs1_stepsize0.4.json").read_text())


def test_table_contains_transductive_and_inductive_scores(run):
    evaluation = classification()
    table, record = write(run, evaluation, list("abcdef"))
    row = next(line for line in table.splitlines() if "after 1 step" in line)
    assert f"{100 * evaluation.query[:, 1].mean():.2f} %" in row
    assert f"{100 * evaluation.inductive[:, 1].mean():.2f} % ±" in row
    after = record["inductive_query_after_step"]
    np.testing.assert_allclose(after["mean"], evaluation.inductive.mean(0))
    assert after["bootstrap95_low"][1] <= after["mean"][1] <= after["bootstrap95_high"][1]


def test_every_episode_has_a_row(run):
    evaluation = classification()
    write(run, evaluation, None)
    with (run.path / "test_ubs1_stepsize0.4_episodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["episode"] for row in rows] == evaluation.fingerprints
    assert float(rows[3]["query_after_1"]) == evaluation.query[3, 1]
    assert float(rows[3]["inductive_after_1"]) == evaluation.inductive[3, 1]


def test_calibration_and_confusion_are_plotted(run):
    _, record = write(run, classification(), list("abcdef"))
    assert (run.path / "test_ubs1_stepsize0.4_answers.png").read_bytes().startswith(b"\x89PNG")
    assert 0 < record["expected_calibration_error"] < 1
    assert not list(run.path.glob("*partial*"))


@pytest.mark.parametrize(("num_classes", "num_episodes"), [(6, 50), (30, 400)])
def test_the_most_frequent_mistakes_are_recorded_with_full_names(run, num_classes, num_episodes):
    """Only class 0 is mistaken, in every episode that contains it."""
    names = [f"a_long_name_of_an_alphabet/character{i:02d}" for i in range(num_classes)]
    evaluation = classification(num_classes, num_episodes)
    _, record = write(run, evaluation, names)
    mistakes = record["most_frequent_mistakes"]
    assert {mistake["true"] for mistake in mistakes} == {names[0]}
    for mistake in mistakes:
        pair = {0, names.index(mistake["predicted"])}
        together = sum(pair == set(classes) for classes in evaluation.classes.tolist())
        assert mistake["count"] == mistake["of"] == together
    counts = [mistake["count"] for mistake in mistakes]
    assert counts == sorted(counts, reverse=True) and len(counts) == min(num_classes - 1, 8)


def test_evaluations_with_other_settings_have_other_file_names():
    usual = evaluation_report.file_stem(SETTINGS, "test")
    assert usual == "test_ubs1_stepsize0.4"
    for change in (
        {"seed": 3},
        {"num_queries": 2},
        {"checkpoint_iteration": 9},
        {"num_test_episodes": 40},
    ):
        stem = evaluation_report.file_stem(SETTINGS.replace(**change), "test")
        assert stem.startswith(f"{usual}_")
