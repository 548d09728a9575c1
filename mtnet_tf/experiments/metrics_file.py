"""metrics.csv of a run: one row per validation. A damaged file loses its unreadable lines only."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.io import write_csv

Row = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What could be read.

    Attributes:
        rows: one dict per iteration, in the order of "iteration".
        fault: what is wrong with the file; empty if nothing is.
    """

    rows: list[Row]
    fault: str = ""


def read_metrics(path: Path) -> Metrics:
    """Reads metrics.csv; a missing file has no rows.

    Args:
        path: path of the file.
    """
    if path.is_dir():
        return Metrics([], "is a folder")
    if not path.exists():
        return Metrics([])
    # What follows the last line break may be cut off: "0.2" of "0.25".
    text, _, cut = path.read_text(encoding="utf-8-sig", errors="replace").rpartition("\n")
    header, *lines = text.splitlines() or [""]
    names = header.split(",")
    if "iteration" not in names or len(set(names)) < len(names):
        return Metrics([], "has no header with the name of each column")
    rows: dict[float, Row] = {}
    num_unreadable = 1 if cut else 0
    for line in filter(str.strip, lines):
        row = _parse(names, line)
        if row is None or row["iteration"] in rows:
            num_unreadable += 1
        if row is not None:
            rows[row["iteration"]] = row  # the later one of two is that of a resumed run
    lines_are = "line is" if num_unreadable == 1 else "lines are"
    fault = f"is damaged: {num_unreadable} {lines_are} unreadable or repeated"
    return Metrics([rows[i] for i in sorted(rows)], fault if num_unreadable else "")


def _parse(names: Sequence[str], line: str) -> Row | None:
    """The numbers of a line; None if it is not a row. An empty cell is left out."""
    cells = line.split(",")
    if len(cells) != len(names):
        return None
    try:
        row = {name: float(cell) for name, cell in zip(names, cells, strict=True) if cell}
    except ValueError:
        return None
    iteration = row.get("iteration", math.nan)
    return row if iteration >= 0 and iteration.is_integer() else None


def write_metrics(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes metrics.csv.

    Args:
        path: path of the file.
        rows: at least one; a column that a row lacks is empty.
    """
    header = list(dict.fromkeys(name for row in rows for name in row))
    lines = [[f"{row[name]:.8g}" if name in row else "" for name in header] for row in rows]
    write_csv(path, [header, *lines])
