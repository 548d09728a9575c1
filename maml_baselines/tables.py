"""The paper's tables, run again: every system trained, evaluated on the same episodes, compared."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from maml_baselines.methods import METHODS
from maml_baselines.published import EVALUATED_AFTER, PUBLISHED
from maml_baselines.resolving import build_learner, fits, resolve
from mtnet_tf import reports, run_experiment, runs
from mtnet_tf.comparison import pair, read_results
from mtnet_tf.intervals import summarize
from mtnet_tf.settings import IMAGES

REFERENCE = "mtnet"
COLUMNS = (
    "method",
    "paper's table",
    "measured",
    "minus MT-net",
    "iterations",
    "steps",
    "s per meta-step",
    "parameters",
    "run",
)


class Row(NamedTuple):
    """One system of a table: the columns of `COLUMNS`, as text."""

    method: str
    published: str
    measured: str
    difference: str = ""
    iterations: str = ""
    steps: str = ""
    seconds: str = ""
    parameters: str = ""
    run: str = ""


def methods_of(given):
    """Names of the systems that fit a data source, the reference first."""
    names = [name for name, method in METHODS.items() if fits(method, given["datasource"])]
    return sorted(names, key=lambda name: name != REFERENCE)


def write_table(given, methods, path, say):
    """Trains and evaluates what is missing, and writes the table after every row.

    Args:
      given: dict of settings for all rows, `datasource` among them.
      methods: names of the systems; MT-net is the one that others are compared with.
      path: of the table, without ".csv" and ".md".
      say: function that prints a line.

    Returns:
      List of `Row`.
    """
    rows, reference = [], None
    for number, name in enumerate(methods, start=1):
        settings = resolve({**given, "method": name})
        run = runs.Run(Path(settings["logdir"]) / reports.run_name(settings))
        keras.utils.clear_session()
        try:
            train_and_evaluate(settings, run)
            rows.append(row_of(name, settings, run, reference))
        except ValueError as error:  # one row that diverges must not cost the others
            rows.append(Row(name, _published(name, settings), f"failed: {error}"))
        else:
            reference = run.path if name == REFERENCE else reference
        row = rows[-1]
        say(f"[{number}/{len(methods)}] {name}: {row.measured}, {row.seconds or '?'} s a meta-step")
        _write(rows, path, settings)
    return rows


def train_and_evaluate(settings, run):
    """Does what is not done yet."""

    def quiet(text):
        """Says nothing: a row of a table is one line."""

    options = {"say": quiet, "verbose": 0}
    command = f"python -m maml_baselines, --method={reports.method_name(settings)}"
    run_experiment.train_run(settings, run, command, build_learner, **options)
    split = "test" if settings["test_set"] else "val"
    results = list(run.path.glob(f"{split}_*_episodes.csv"))
    newest = run.latest().stat().st_mtime
    if not any(result.stat().st_mtime > newest for result in results):
        run_experiment.evaluate_run(settings, run, **options)


def row_of(name, settings, run, reference):
    """The row of an evaluated run.

    Args:
      name: of the method.
      settings: dict.
      run: `Run`.
      reference: path of MT-net's run, None where there is none.

    Returns:
      `Row`.
    """
    split = "test" if settings["test_set"] else "val"
    result = read_results(run.path, split)[0]
    record, scores = result.record, np.stack(list(result.scores.values()))
    step = min(EVALUATED_AFTER.get(_column(settings), 10**6), scores.shape[1] - 1)
    seconds = [row["seconds_per_iteration"] for row in run.rows()]
    seconds = seconds[1:] or seconds  # the first ones hold the time of compiling
    return Row(
        name,
        _published(name, settings),
        _interval(scores[:, step], record["metric"]),
        _difference(run, reference, split, step),
        str(record["iteration"]),
        str(step),
        f"{np.median(seconds):.3g}" if seconds else "",
        str(record["num_meta_parameters"]),
        run.path.name,
    )


def _difference(run, reference, split, step):
    """This run minus MT-net, paired over the same episodes."""
    if reference is None:
        return ""
    found = pair(run.path, reference, split)
    difference = found.scores_a[:, step] - found.scores_b[:, step]
    return _interval(difference, found.a.record["metric"], sign="+")


def _interval(scores, metric, sign=""):
    scale, digits = (100, 2) if metric == "accuracy" else (1, 3)
    found = summarize(scale * scores[:, None])
    return f"{found.mean[0]:{sign}.{digits}f} ± {found.ci95[0]:.{digits}f}"


def _column(settings):
    is_image = settings["datasource"] in IMAGES
    return settings["datasource"], settings["num_classes"] if is_image else None


def _published(name, settings):
    real = not settings["synthetic"]
    return PUBLISHED.get(_column(settings), {}).get(name, "") if real else ""


def _write(rows, path, settings):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    runs.write_text(f"{path}.csv", text.getvalue())
    runs.write_text(f"{path}.md", _markdown(rows, settings))


def _markdown(rows, settings):
    title = reports.title({**settings, "method": "all systems"})
    head = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    body = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    episodes = f"{settings['num_test_episodes']} distinct episodes, seed {settings['seed']}; "
    note = episodes + "mean ± 95 % interval; per cent of right answers, or mean squared error."
    return "\n".join([f"# {title}", "", note, "", *head, *body, ""])
