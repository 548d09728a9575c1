"""The rows of a table as CSV, Markdown and a picture."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from mtnet_tf._files import write_text
from mtnet_tf.experiments import plot_scores, reports

COLUMNS = (
    "method",
    "paper's table",
    "its own paper",
    "measured",
    "inductive",
    "minus MT-net",
    "split",
    "episodes",
    "iterations",
    "best",
    "steps",
    "s per meta-step",
    "parameters",
    "run",
)


class Row(NamedTuple):
    """One system of a table: the columns of `COLUMNS`, as text."""

    method: str
    published: str = ""
    own: str = ""
    measured: str = ""
    inductive: str = ""
    difference: str = ""
    split: str = ""
    episodes: str = ""
    iterations: str = ""
    best: str = ""
    steps: str = ""
    seconds: str = ""
    parameters: str = ""
    run: str = ""


def read_rows(path):
    """The rows of an earlier command, a list of `Row`.

    Args:
      path: without ".csv".

    Raises:
      ValueError: if the file is no such table.
    """
    file = Path(f"{path}.csv")
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        header, *rows = list(csv.reader(lines)) or [[]]
    if tuple(header) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError(
            f"{file} must be a table of this program, to be gone on with. Received: columns "
            f"{header}. Move it away, or name another with `table_file`."
        )
    return [Row(*row) for row in rows]


def write_files(rows, path, settings):
    """Writes the table so far.

    Args:
      rows: list of `Row`.
      path: without ".csv", ".md" and ".png".
      settings: `Settings` of any row, for what they have in common.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    write_text(f"{path}.csv", text.getvalue())
    write_text(f"{path}.md", _markdown(rows, settings))
    scores = {row.method: _numbers(row.measured) for row in rows if row.run}
    if not scores:
        Path(f"{path}.png").unlink(missing_ok=True)  # of an earlier table
        return
    published = {
        "MT-net paper": {row.method: _numbers(row.published)[0] for row in rows if row.published},
        "its own paper": {row.method: _numbers(row.own)[0] for row in rows if row.own},
    }
    unit = "% of right answers" if settings.is_image else "mean squared error"
    plot_scores(scores, published, f"{path}.png", _title(rows, settings), unit)


def _numbers(cell):
    """The numbers of "98.1 ± 0.2" or "98.1"."""
    return [float(part) for part in cell.split(" ± ")]


def _markdown(rows, settings):
    head = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    body = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    chosen = (
        ""
        if settings.use_test_split
        else "These are the classes that the checkpoint was chosen on. "
    )
    note = (
        f"Seed {settings.seed}; mean ± 95 % interval over distinct episodes; per cent of right "
        f"answers, or mean squared error. {chosen}Measured: the best checkpoint on validation, "
        "queries normalised together, as in the MT-net paper; inductive: normalised by the support "
        "set, each query by itself. Minus MT-net: paired over the same episodes."
    )
    return "\n".join([f"# {_title(rows, settings)}", "", note, "", *head, *body, ""])


def _title(rows, settings):
    title = reports.title(settings.replace(method="all systems"))
    title += "" if settings.use_test_split else ", validation split"
    lengths = [int(row.iterations) for row in rows if row.iterations]
    if not lengths:
        return title
    ends = dict.fromkeys((min(lengths), max(lengths)))
    return f"{title}, {' to '.join(f'{n:,}' for n in ends)} meta-iterations"
