import numpy as np
import pytest

from data_prep.io import write_csv, write_json
from mtnet_tf.experiments.compare_runs import compare


def run_folder(path, scores, metric="accuracy", split="test", inductive=None, suffix=""):
    """A run folder with the scores of some episodes, {fingerprint: [score after each step]}."""
    path.mkdir(exist_ok=True)
    steps = range(len(next(iter(scores.values()))))
    header = ["episode", "support_before", *(f"query_after_{i}" for i in steps)]
    rows = [[key, 0.5, *values] for key, values in scores.items()]
    if inductive:
        header += [f"inductive_after_{i}" for i in steps]
        rows = [[*row, *inductive[row[0]]] for row in rows]
    stem = f"{split}_ubs1_stepsize0.4{suffix}"
    write_json(path / f"{stem}.json", {"metric": metric, "iteration": 7})
    write_csv(path / f"{stem}_episodes.csv", [header, *rows])
    return path


def test_the_difference_is_taken_episode_by_episode(tmp_path, rng):
    """Hard and easy episodes spread both means by far more than the difference."""
    level = rng.random(100) * 0.8
    a = run_folder(tmp_path / "a", {f"e{i}": [v + 0.1] for i, v in enumerate(level)})
    b = run_folder(tmp_path / "b", {f"e{i}": [v] for i, v in reversed(list(enumerate(level)))})
    table = compare(a, b)
    assert "100 distinct episodes in common" in table
    row = table.splitlines()[-1].split()
    np.testing.assert_allclose([float(row[3]), float(row[5])], [10.0, 0.0], atol=1e-3)


def test_only_common_episodes_and_steps_count(tmp_path):
    a = run_folder(tmp_path / "a", {"x": [0.0, 1.0], "y": [0.0, 0.5], "z": [1.0, 1.0]})
    b = run_folder(tmp_path / "b", {"x": [0.0], "y": [0.5], "w": [1.0], "v": [0.0]})
    table = compare(a, b)
    assert "2 distinct episodes in common" in table
    assert "(A has 3, B has 4; the others are ignored)" in table
    assert table.splitlines()[-1].split()[:4] == ["0", "0.000", "25.000", "-25.000"]


def test_both_normalisations_are_compared(tmp_path):
    runs = []
    for name, shift in (("a", 0.1), ("b", 0.0)):
        scores, alone = {"x": [0.5], "y": [0.7]}, {"x": [0.3 + shift], "y": [0.4 + shift]}
        runs.append(run_folder(tmp_path / name, scores, inductive=alone))
    transductive, inductive = compare(*runs).split("Inductive")
    assert transductive.splitlines()[-2].split()[3] == "+0.000"
    assert inductive.splitlines()[-1].split()[3] == "+10.000"


def test_an_earlier_evaluation_on_the_same_episodes_is_found(tmp_path):
    a = run_folder(tmp_path / "a", {"x": [0.0], "y": [1.0]})
    run_folder(tmp_path / "a", {"v": [0.0], "w": [1.0]}, suffix="_seed3")
    b = run_folder(tmp_path / "b", {"x": [0.0], "y": [1.0]})
    assert "2 distinct episodes in common" in compare(a, b)


def test_runs_without_common_episodes_cannot_be_compared(tmp_path):
    a = run_folder(tmp_path / "a", {"x": [0.0], "y": [1.0]})
    b = run_folder(tmp_path / "b", {"v": [0.0], "w": [1.0]})
    with pytest.raises(ValueError, match="not evaluated on the same episodes"):
        compare(a, b)


def test_for_a_run_without_evaluation_the_message_tells_how_to_evaluate(tmp_path):
    a = run_folder(tmp_path / "a", {"x": [0.0], "y": [1.0]}, split="val")
    with pytest.raises(ValueError, match="No evaluation on the test split .* `train=False`"):
        compare(a, a)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "episode,support_before\nx,0.5\n",
        "episode,support_before,query_after_0\nx,0.5",
        "episode,support_before,query_after_0\nx,0.5,0.25\ny,0.5,0.2",
        "episode,support_before,query_after_0\nx,0.5,abc\n",
        "episode,support_before,query_after_0\n",  # the JSON file says that there are two
    ],
)
def test_a_damaged_evaluation_is_named(tmp_path, text):
    a = run_folder(tmp_path / "a", {"x": [0.0], "y": [1.0]})
    (a / "test_ubs1_stepsize0.4_episodes.csv").write_text(text)
    record = {"metric": "loss", "iteration": 7, "num_distinct_episodes": 2}
    write_json(a / "test_ubs1_stepsize0.4.json", record)
    with pytest.raises(ValueError, match="test_ubs1_stepsize0.4_episodes.csv is damaged .*again"):
        compare(a, a)


@pytest.mark.parametrize("text", [None, "", "[]", "3", '{"metric": "loss"}'])
def test_an_evaluation_without_its_json_file_is_damaged(tmp_path, text):
    a = run_folder(tmp_path / "a", {"x": [0.0], "y": [1.0]})
    (a / "test_ubs1_stepsize0.4.json").unlink()
    if text is not None:
        (a / "test_ubs1_stepsize0.4.json").write_text(text)
    with pytest.raises(ValueError, match="test_ubs1_stepsize0.4_episodes.csv is damaged .*again"):
        compare(a, a)
