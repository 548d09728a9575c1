"""The records of a table, their JSON file and their text."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from maml_baselines.tables.files import markdown, read_rows, write_files
from maml_baselines.tables.records import COLUMNS, Estimate, Row, format_row
from maml_baselines.tables.write import settings_of

TABLES = sorted((Path(__file__).parents[3] / "experiments" / "table3").glob("*.csv"))
FULL = Row(
    method="maml",
    published=Estimate(98.7, 0.4, 1),
    own=Estimate(98.0, None, 0),
    measured=Estimate(75.604, 1.695, 2),
    inductive=Estimate(70.2, 1.58, 2),
    difference=Estimate(3.0, 0.125, 2),
    split="test",
    episodes=600,
    iterations=1500,
    best=0,
    steps=3,
    seconds=0.34949,
    parameters=112005,
    run="a_run",
    evaluation="test_episodes.csv",
)
CELLS = ["maml", "98.7 ± 0.4", "98", "75.60 ± 1.70", "70.20 ± 1.58", "+3.00 ± 0.12", "test", "600",
         "1500", "0", "3", "0.349", "112005", "a_run"]  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(99.5, 0.3, 1), "99.5 ± 0.3"),
        (Estimate(98.1, None, 1), "98.1"),
        (Estimate(-0.25, 1.0, 3), "-0.250 ± 1.000"),
        (Estimate(7.0, 2.0, 0), "7 ± 2"),
    ],
)
def test_an_estimate_and_its_text_are_inverses(estimate, text):
    assert estimate.format() == text
    assert Estimate.parse(text) == estimate


@pytest.mark.parametrize(("mean", "text"), [(0.5, "+0.50"), (-0.5, "-0.50"), (0.0, "+0.00")])
def test_a_difference_has_a_sign(mean, text):
    assert Estimate(mean).format(sign=True) == text


@pytest.mark.parametrize("text", ["", "good", "1 ± 2 ± 3", "1 ± "])
def test_text_that_is_not_an_estimate_is_an_error(text):
    with pytest.raises(ValueError):
        Estimate.parse(text)


def test_a_row_has_one_cell_per_column():
    assert len(CELLS) == len(COLUMNS)
    assert format_row(FULL) == CELLS


ROWS = [
    FULL,
    Row(method="mtnet", measured=Estimate(1 / 3, 1e-17 / 3), seconds=2 / 3),
    Row(method="tnet", failure="Training diverged"),
    Row(method="oracle", measured=Estimate(0.1, 0.02, 3), has_other_episodes=True, split="val"),
]


def write(rows, path):
    write_files(rows, path, settings_of({"data_source": "sinusoid"}, "mtnet"))


def test_rows_are_read_back_with_full_precision(tmp_path):
    write(ROWS, tmp_path / "table")
    stored = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert stored == [dataclasses.asdict(row) for row in ROWS]
    (tmp_path / "table.csv").write_text("what is shown is not read")
    assert read_rows(tmp_path / "table", tmp_path) == ROWS


def test_a_table_without_json_is_read_from_its_text(tmp_path):
    write(ROWS, tmp_path / "table")
    (tmp_path / "table.json").unlink()
    full, _, failed, oracle = rows = read_rows(tmp_path / "table", tmp_path)
    assert [format_row(row) for row in rows] == [format_row(row) for row in ROWS]
    assert full.measured == Estimate(75.6, 1.7) and full.evaluation is None
    assert failed.failure == "Training diverged" and failed.measured is None
    assert oracle.has_other_episodes and oracle.difference is None and oracle.failure is None


def test_a_table_that_was_not_written_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "table", tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"method": "ma', "table.json is not readable JSON"),
        ("{}", "Received: something else than a list of rows."),
        ("[1]", "Received: something else than the fields of `Row`."),
        ('[{"method": "maml", "mine": 1}]', "Received: something else than the fields of `Row`."),
        ('[{"run": "a_run"}]', "Received: a `Row` with missing fields."),
        ('[{"method": "maml", "best": "1"}]', "Received: `best='1'` in `Row`."),
        ('[{"method": "maml", "own": {"mean": "1"}}]', "Received: `mean='1'` in `Estimate`."),
        ('[{"method": "maml", "own": 1.5}]', "something else than the fields of `Estimate`."),
    ],
)
def test_a_damaged_json_file_is_an_error_and_is_kept(text, message, tmp_path):
    write(ROWS, tmp_path / "table")
    file = tmp_path / "table.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_rows(tmp_path / "table", tmp_path)
    assert str(caught.value).startswith(str(file)) and message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert file.read_text(encoding="utf-8") == text


def test_tables_are_found():
    assert len(TABLES) == 2


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_a_stored_table_has_the_text_of_its_rows(file, tmp_path):
    rows = read_rows(file.with_suffix(""), tmp_path)
    assert len(rows) == 22 and all(row.measured for row in rows)
    source = file.stem.split("_")[1]
    write_files(rows, tmp_path / "table", settings_of({"data_source": source}, "mtnet"))
    for suffix in (".json", ".csv", ".md"):
        expected = file.with_suffix(suffix).read_bytes()
        assert (tmp_path / "table").with_suffix(suffix).read_bytes() == expected


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_the_csv_of_an_older_version_gives_the_same_rows(file, tmp_path):
    shutil.copy(file, tmp_path / "table.csv")
    assert read_rows(tmp_path / "table", tmp_path) == read_rows(file.with_suffix(""), tmp_path)


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_the_markdown_of_a_table_has_the_cells_of_its_csv(file):
    with file.open(newline="", encoding="utf-8") as lines:
        expected = list(csv.reader(lines))
    lines = file.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    header, rule, *body = [line for line in lines if line.startswith("|")]
    assert set(rule) == {"|", "-"} and rule.count("|") == len(COLUMNS) + 1
    assert [[c.strip() for c in line[1:-1].split("|")] for line in (header, *body)] == expected


def test_a_bar_in_a_cell_does_not_end_it_in_markdown():
    rows = [Row(method="maml", failure="a | b")]
    text = markdown(rows, settings_of({"data_source": "sinusoid"}, "maml"))
    assert "failed: a / b" in text
