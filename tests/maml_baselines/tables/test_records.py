"""The records of a table and their text."""

import csv
from pathlib import Path

import pytest

from maml_baselines.tables.files import markdown, read_rows, write_files
from maml_baselines.tables.records import COLUMNS, Estimate, Row, format_row, parse_row
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
def test_text_that_is_no_estimate_is_an_error(text):
    with pytest.raises(ValueError):
        Estimate.parse(text)


def test_a_row_has_one_cell_per_column():
    assert len(CELLS) == len(COLUMNS)
    assert format_row(FULL) == CELLS


@pytest.mark.parametrize(
    "cells",
    [
        CELLS,
        ["maml", *[""] * 13],
        ["maml", "", "", "failed: Training diverged", *[""] * 10],
        ["oracle", "", "", "0.100 ± 0.020", "", "other episodes", "val", *[""] * 7],
    ],
)
def test_the_text_of_a_row_survives_reading(cells):
    assert format_row(parse_row(cells)) == cells


def test_what_is_not_a_score_is_read_as_a_fact():
    failed = parse_row(["maml", "", "", "failed: Training diverged", *[""] * 10])
    assert failed.failure == "Training diverged" and failed.measured is None
    oracle = parse_row(["oracle", "", "", "0.1 ± 0.0", "", "other episodes", *[""] * 8])
    assert oracle.has_other_episodes and oracle.difference is None and oracle.failure is None


def test_tables_are_found():
    assert len(TABLES) == 2


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_a_table_of_an_earlier_version_keeps_its_text(file, tmp_path):
    rows = read_rows(file.with_suffix(""))
    assert len(rows) == 22 and all(row.measured for row in rows)
    source = file.stem.split("_")[1]
    write_files(rows, tmp_path / "table", settings_of({"data_source": source}, "mtnet"))
    assert (tmp_path / "table.csv").read_bytes() == file.read_bytes()


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
