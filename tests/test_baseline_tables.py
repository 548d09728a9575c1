"""`python -m maml_baselines`: rows, resuming, and what the table says."""

import csv

import numpy as np
import pytest

from maml_baselines import METHODS
from maml_baselines.__main__ import main
from maml_baselines.published import EVALUATED_AFTER, OWN_PAPERS, PUBLISHED
from maml_baselines.tables import methods_of
from mtnet_tf.comparison import pair

TINY = ["--dim_hidden=4", "--num_test_episodes=20", "--num_test_updates=2", "--debug=True"]
TINY += ["--log=False", "--num_updates=1", "--metatrain_iterations=2", "--validate_every=2"]


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_is_trained_compared_and_resumed(tmp_path, capsys):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=mtnet,metasgd"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[1/2] mtnet: ") and lines[1].startswith("[2/2] metasgd: ")
    path = tmp_path / "table1_sinusoid.csv"
    mtnet, metasgd = rows_of(path)
    assert mtnet["paper's table"] == "0.49 ± 0.05" and mtnet["iterations"] == "2"
    runs = [tmp_path / row["run"] for row in (metasgd, mtnet)]
    found = pair(*runs)
    difference = np.mean(found.scores_a[:, 2] - found.scores_b[:, 2])
    assert metasgd["minus MT-net"].startswith(f"{difference:+.3f} ± ")
    assert "| metasgd | 0.53 ± 0.09 |  |" in path.with_suffix(".md").read_text(encoding="utf-8")
    # A second time everything is there already.
    stamps = {file: file.stat().st_mtime_ns for run in runs for file in run.glob("test_*.json")}
    assert main(command) == 0
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in stamps.items())
    assert rows_of(path) == [mtnet, metasgd]


def test_a_row_that_diverges_says_so_and_the_table_goes_on(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=maml", "--update_lr=1e30"]
    assert main(command) == 0
    (row,) = rows_of(tmp_path / "table1_sinusoid.csv")
    assert row["measured"].startswith("failed: Training diverged")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["table1", "--methods=maml,mine"], "--method must be one of"),
        (["table3", "--methods=oracle"], "--baseline=oracle needs"),
    ],
)
def test_a_bad_command_is_one_sentence(flags, message, tmp_path, capsys):
    assert main([*flags, f"--logdir={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_published_numbers_are_of_systems_that_exist():
    for table in (PUBLISHED, OWN_PAPERS):
        assert all(set(column) <= set(METHODS) for column in table.values())
    assert set(PUBLISHED) == set(EVALUATED_AFTER)


def test_every_system_of_a_table_fits_its_data_and_mtnet_comes_first():
    pictures, curves = (methods_of({"datasource": s}) for s in ("omniglot", "sinusoid"))
    assert pictures[0] == curves[0] == "mtnet"
    assert set(pictures) | set(curves) == set(METHODS)
    assert "oracle" not in pictures and "prototypical" not in curves
