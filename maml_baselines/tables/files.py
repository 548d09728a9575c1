"""The files of a table: the rows as JSON, and what shows them: CSV, Markdown and a plot."""

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tabulate

from data_prep.io import read_json, write_json, write_text
from maml_baselines.tables.old_tables import read_old_table
from maml_baselines.tables.records import COLUMNS, Row, format_row, row_from
from mtnet_tf.experiments import Settings, plot_scores, title


def read_rows(path: Path | str, runs_dir: Path | str) -> list[Row]:
    """Reads the rows that an earlier command wrote.

    Args:
        path: of the table, without ".json".
        runs_dir: folder of the run folders, for a table of an older version.

    Returns:
        The rows; none if there is no such file.

    Raises:
        ValueError: if the file is damaged, or is not a table of this program.
    """
    file, old_file = Path(f"{path}.json"), Path(f"{path}.csv")
    if file.exists():
        values = read_json(file)
        return _checked(file, lambda: _rows_from(values))
    if old_file.exists():
        return _checked(old_file, lambda: read_old_table(old_file, runs_dir))
    return []


def _rows_from(values: Any) -> list[Row]:
    if not isinstance(values, list):
        raise ValueError("something else than a list of rows")
    return [row_from(value) for value in values]


def _checked(file: Path, read: Callable[[], list[Row]]) -> list[Row]:
    """The rows that `read` returns; its ValueError gets the name of the file."""
    try:
        return read()
    except ValueError as error:
        raise ValueError(
            f"{file} must be a table of this program, so that rows can be added. "
            f"Received: {error}. Move the file away, or name another one with `table_file`."
        ) from error


def write_files(rows: Sequence[Row], path: Path | str, settings: Settings) -> None:
    """Writes the rows of a table to its JSON file, and shows them in the other files.

    Args:
        rows: of the table.
        path: of the table, without ".json", ".csv", ".md" and ".png".
        settings: of any row, for what all rows have in common.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_json(f"{path}.json", [dataclasses.asdict(row) for row in rows])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *map(format_row, rows)])
    write_text(f"{path}.csv", text.getvalue())
    write_text(f"{path}.md", markdown(rows, settings))
    _plot(rows, Path(f"{path}.png"), settings)


def _plot(rows: Sequence[Row], file: Path, settings: Settings) -> None:
    """Plots the measured and the published scores; deletes an older plot if no row has a score."""
    scores = {
        row.method: (row.measured.mean, row.measured.ci95 or 0.0) for row in rows if row.measured
    }
    if not scores:
        file.unlink(missing_ok=True)
        return
    published = {
        "MT-net paper": {row.method: row.published.mean for row in rows if row.published},
        "its own paper": {row.method: row.own.mean for row in rows if row.own},
    }
    unit = "accuracy (%)" if settings.is_image else "mean squared error"
    plot_scores(scores, published, file, _title(rows, settings), unit)


def markdown(rows: Sequence[Row], settings: Settings) -> str:
    """The table in GitHub's Markdown, with a title and a note.

    Args:
        rows: of the table.
        settings: of any row.
    """
    cells = [[cell.replace("|", "/") for cell in format_row(row)] for row in rows]
    table = tabulate.tabulate(cells, COLUMNS, tablefmt="github", disable_numparse=True)
    return f"# {_title(rows, settings)}\n\n{_note(settings)}\n\n{table}\n"


def _note(settings: Settings) -> str:
    """What the columns mean."""
    unit = "accuracy in per cent" if settings.is_image else "mean squared error"
    chosen = "" if settings.use_test_split else "The checkpoint was chosen on the same classes. "
    return (
        f"Seed {settings.seed}. Scores are the {unit}: mean ± 95 % interval over distinct "
        f"episodes. {chosen}Measured: the score of the checkpoint with the best validation score, "
        "with each query set normalised by its own statistics, as in the MT-net paper. Inductive: "
        "the same, with each query example normalised by the statistics of the support set. Minus "
        "MT-net: paired difference to MT-net on the same episodes."
    )


def _title(rows: Sequence[Row], settings: Settings) -> str:
    heading = title(settings.replace(method="all systems"))
    heading += "" if settings.use_test_split else ", validation split"
    lengths = [row.iterations for row in rows if row.iterations is not None]
    if not lengths:
        return heading
    ends = dict.fromkeys((min(lengths), max(lengths)))
    return f"{heading}, {' to '.join(f'{n:,}' for n in ends)} meta-iterations"
