"""The paper's tables, run again: every system trained, evaluated on the same episodes, compared."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from maml_baselines.methods import METHODS
from maml_baselines.published import EVALUATED_AFTER, OWN_PAPERS, PUBLISHED
from maml_baselines.resolving import build_learner, fits, resolve
from mtnet_tf import plots, reports, run_experiment, runs
from mtnet_tf.comparison import pair, read_results
from mtnet_tf.intervals import summarize
from mtnet_tf.settings import IMAGES

REFERENCE = "mtnet"
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


def methods_of(given):
    """Names of the systems that fit a data source, the reference first."""
    names = [name for name, method in METHODS.items() if fits(method, given["datasource"])]
    return sorted(names, key=lambda name: name != REFERENCE)


def write_table(given, methods, path, say):
    """Trains and evaluates what is missing, and writes the table after every row.

    Args:
      given: dict of settings for all rows, `datasource` among them.
      methods: names of the systems; MT-net is the one that others are compared with.
      path: of the table, without ".csv", ".md" and, of its picture, ".png".
      say: function that prints a line.

    Returns:
      List of `Row`.
    """
    rows, reference = [], None
    for number, name in enumerate(methods, start=1):
        settings = settings_of(given, name)
        run = runs.Run(Path(settings["logdir"]) / reports.run_name(settings))
        keras.utils.clear_session()
        try:
            train_and_evaluate(settings, run)
            rows.append(row_of(name, settings, run, reference))
        except ValueError as error:  # one row that diverges must not cost the others
            rows.append(Row(name, *_published(name, settings), f"failed: {error}"))
        else:
            reference = (run.path, int(rows[-1].steps)) if name == REFERENCE else reference
        row = rows[-1]
        say(f"[{number}/{len(methods)}] {name}: {row.measured}, {row.seconds or '?'} s a meta-step")
        _write(rows, path, settings)
    return rows


def settings_of(given, name):
    """All settings of a row.

    It is evaluated after as many inner steps as the user says, else its own paper, else the MT-net
    paper.
    """
    settings = resolve({**given, "method": name})
    recipe = METHODS[name].recipe(settings["datasource"], settings["num_classes"])
    if "num_test_updates" not in {**recipe, **given}:
        default = settings["num_test_updates"]
        settings["num_test_updates"] = EVALUATED_AFTER.get(_column(settings), default)
    return settings


def train_and_evaluate(settings, run):
    """Does what is not done yet."""

    def quiet(text):
        """Says nothing: a row of a table is one line."""

    options = {"say": quiet, "verbose": 0}
    command = f"python -m maml_baselines, --method={reports.method_name(settings)}"
    run_experiment.train_run(settings, run, command, build_learner, **options)
    if not _is_evaluated(settings, run):
        run_experiment.evaluate_run(settings, run, **options)


def _is_evaluated(settings, run):
    """Whether the newest evaluation saw the newest checkpoint, with these settings or more."""
    split = _split(settings)
    files = run.path.glob(f"{split}_*_episodes.csv")
    newest = run.latest().stat().st_mtime
    if not any(file.stat().st_mtime > newest for file in files):
        return False
    done = read_results(run.path, split)[0].record["settings"]
    return (
        done["num_test_updates"] >= settings["num_test_updates"]
        and done["num_test_episodes"] == settings["num_test_episodes"]
    )


def row_of(name, settings, run, reference):
    """The row of an evaluated run.

    Args:
      name: of the method.
      settings: dict.
      run: `Run`.
      reference: path of MT-net's run and the inner steps it is evaluated after, None where there
        is none.

    Returns:
      `Row`.
    """
    result = read_results(run.path, _split(settings))[0]
    record, metric, step = result.record, result.record["metric"], settings["num_test_updates"]
    scores, inductive = (
        "" if s is None else _interval(np.stack(list(s.values()))[:, step], metric)
        for s in (result.scores, result.inductive)
    )
    rows = run.rows()
    seconds = [row["seconds_per_iteration"] for row in rows]
    seconds = seconds[1:] or seconds  # the first ones hold the time of compiling
    return Row(
        name,
        *_published(name, settings),
        scores,
        inductive,
        _difference(run, reference, _split(settings), step),
        str(int(rows[-1]["iteration"]) if rows else 0),
        str(record["iteration"]),
        str(step),
        f"{np.median(seconds):.3g}" if seconds else "",
        str(record["num_meta_parameters"]),
        run.path.name,
    )


def _difference(run, reference, split, step):
    """This run minus MT-net, each after its own inner steps, paired over the same episodes."""
    if reference is None:
        return ""
    path, reference_step = reference
    found = pair(run.path, path, split)
    difference = found.scores_a[:, step] - found.scores_b[:, reference_step]
    return _interval(difference, found.a.record["metric"], sign="+")


def _interval(scores, metric, sign=""):
    scale, digits = (100, 2) if metric == "accuracy" else (1, 3)
    found = summarize(scale * scores[:, None])
    return f"{found.mean[0]:{sign}.{digits}f} ± {found.ci95[0]:.{digits}f}"


def _split(settings):
    return "test" if settings["test_set"] else "val"


def _column(settings):
    is_image = settings["datasource"] in IMAGES
    return settings["datasource"], settings["num_classes"] if is_image else None


def _published(name, settings):
    """What the MT-net paper prints and what the method's own paper does."""
    column = None if settings["synthetic"] else _column(settings)
    return [table.get(column, {}).get(name, "") for table in (PUBLISHED, OWN_PAPERS)]


def _write(rows, path, settings):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    runs.write_text(f"{path}.csv", text.getvalue())
    runs.write_text(f"{path}.md", _markdown(rows, settings))
    scores = {row.method: _numbers(row.measured) for row in rows if row.run}
    if scores:
        published = {
            "MT-net paper": {
                row.method: _numbers(row.published)[0] for row in rows if row.published
            },
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
    return reports.title({**settings, "method": "all systems"})
