"""Reads tables of older versions, which stored the rows only as CSV, with rounded numbers."""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from maml_baselines.tables.records import COLUMNS, FAILED, OTHER_EPISODES, Estimate, Row
from maml_baselines.tables.rows import inductive_of, measured_of, read_scores

_T = TypeVar("_T")


def read_old_table(file: Path, runs_dir: Path | str) -> list[Row]:
    """Reads the rows of a table that an older version wrote.

    Args:
        file: the CSV file.
        runs_dir: folder of the run folders. If a row's evaluation is still there, the row gets its
            exact scores and its name.

    Raises:
        ValueError: if the file is not a table of an older version.
    """
    with file.open(newline="", encoding="utf-8") as lines:
        header, *rows = list(csv.reader(lines)) or [[]]
    if tuple(header) != COLUMNS:
        raise ValueError(f"columns {header}")
    return [_with_evaluation(_parse_row(cells), runs_dir) for cells in rows]


def _with_evaluation(row: Row, runs_dir: Path | str) -> Row:
    """The row with the newest evaluation that has its rounded score; else the row itself."""
    for scores in read_scores(row, runs_dir):
        exact = measured_of(scores)
        if row.measured and exact.format() == row.measured.format():
            return dataclasses.replace(
                row,
                measured=exact,
                inductive=inductive_of(scores),
                evaluation=scores.result.file.name,
            )
    return row


def _parse_row(cells: Sequence[str]) -> Row:
    """The row with this text in each of `COLUMNS`; ValueError if there is none."""
    text = dict(zip(COLUMNS, cells, strict=True))
    failed = text["measured"].startswith(FAILED)
    has_other_episodes = text["minus MT-net"] == OTHER_EPISODES
    return Row(
        method=text["method"],
        published=_parse(Estimate.parse, text["paper's table"]),
        own=_parse(Estimate.parse, text["its own paper"]),
        measured=None if failed else _parse(Estimate.parse, text["measured"]),
        failure=text["measured"].removeprefix(FAILED) if failed else None,
        inductive=_parse(Estimate.parse, text["inductive"]),
        difference=None if has_other_episodes else _parse(Estimate.parse, text["minus MT-net"]),
        has_other_episodes=has_other_episodes,
        split=_parse(str, text["split"]),
        episodes=_parse(int, text["episodes"]),
        iterations=_parse(int, text["iterations"]),
        best=_parse(int, text["best"]),
        steps=_parse(int, text["steps"]),
        seconds=_parse(float, text["s per meta-step"]),
        parameters=_parse(int, text["parameters"]),
        run=_parse(str, text["run"]),
    )


def _parse(kind: Callable[[str], _T], cell: str) -> _T | None:
    return kind(cell) if cell else None
