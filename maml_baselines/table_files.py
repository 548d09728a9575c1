"""The rows of a table as CSV, Markdown and a picture."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from mtnet_tf import plots, reports, runs
from mtnet_tf.settings import IMAGES

COLUMNS = (
    "method",
    "paper's table",
    "its own paper",
    "measured",
    "inductive",
    "minus MT-net",
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
    published: str
    own: str
    measured: str
    inductive: str = ""
    difference: str = ""
    iterations: str = ""
    best: str = ""
    steps: str = ""
    seconds: str = ""
    parameters: str = ""
    run: str = ""


def write_files(rows, path, settings):
    """Writes the table so far.

    Args:
      rows: list of `Row`.
      path: without ".csv", ".md" and ".png".
      settings: dict of any row.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    runs.write_text(f"{path}.csv", text.getvalue())
    runs.write_text(f"{path}.md", _markdown(rows, settings))
    scores = {row.method: _numbers(row.measured) for row in rows if row.run}
    if not scores:
        Path(f"{path}.png").unlink(missing_ok=True)  # of an earlier table
        return
    published = {
        "MT-net paper": {row.method: _numbers(row.published)[0] for row in rows if row.published},
        "its own paper": {row.method: _numbers(row.own)[0] for row in rows if row.own},
    }
    unit = "% of right answers" if settings["datasource"] in IMAGES else "mean squared error"
    plots.plot_scores(scores, published, f"{path}.png", _title(settings), unit)


def _numbers(cell):
    """The numbers of "98.1 ± 0.2" or "98.1"."""
    return [float(part) for part in cell.split(" ± ")]


def _markdown(rows, settings):
    head = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    body = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    episodes = f"{settings['num_test_episodes']} distinct episodes, seed {settings['seed']}; "
    note = episodes + (
        "mean ± 95 % interval; per cent of right answers, or mean squared error. Measured: the "
        "best checkpoint on validation, queries normalised together, as in the MT-net paper; "
        "inductive: normalised by the support set, each query by itself."
    )
    return "\n".join([f"# {_title(settings)}", "", note, "", *head, *body, ""])


def _title(settings):
    title = reports.title({**settings, "method": "all systems"})
    return f"{title}, {settings['metatrain_iterations']:,} meta-iterations"
