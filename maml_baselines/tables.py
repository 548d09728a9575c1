"""The paper's tables, run again: every system trained, evaluated on the same episodes, compared."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from maml_baselines.methods import METHODS
from maml_baselines.published import EVALUATED_AFTER, OWN_PAPERS, PUBLISHED
from maml_baselines.resolving import build_learner, fits, resolve
from maml_baselines.table_files import Row, read_rows, write_files
from mtnet_tf import reports, run_experiment, runs
from mtnet_tf.comparison import Result, align, read_results
from mtnet_tf.intervals import summarize
from mtnet_tf.settings import IMAGES, check_same_run

REFERENCE = "mtnet"
# An evaluation with other values of these, or of fewer inner steps, is another one.
_OF_AN_EVALUATION = (
    *("update_lr", "update_batch_size", "num_queries", "seed"),
    *("metatrain_iterations", "test_iter", "num_test_episodes"),
)


class Reference(NamedTuple):
    """What other rows are compared with: MT-net's evaluation, and the inner steps that count."""

    result: Result
    step: int


def methods_of(given):
    """Names of the systems that fit a data source, the reference first."""
    return [name for name, method in METHODS.items() if fits(method, given["datasource"])]


def write_table(given, methods, path, say, command):
    """Trains and evaluates what is missing, and writes the table after every row.

    Rows that an earlier command wrote to the same table stay, until they are made again.

    Args:
      given: dict of settings for all rows, `datasource` among them.
      methods: names of the systems; the others are compared with MT-net, which comes first.
      path: of the table, without ".csv", ".md" and, of its picture, ".png".
      say: function that prints a line.
      command: the command line, str.

    Returns:
      List of `Row`, of these methods.

    Raises:
      ValueError: before anything is trained, if settings make no sense for one of the rows, or if
        the file holds something else.
    """
    methods = sorted(dict.fromkeys(methods), key=lambda name: name != REFERENCE)
    planned = [(name, settings_of(given, name)) for name in methods]
    rows = {row.method: row for row in read_rows(path)}
    reference = _known_reference(rows, planned[0][1])
    for number, (name, settings) in enumerate(planned, start=1):
        run = runs.Run(Path(settings["logdir"]) / reports.run_name(settings))
        keras.utils.clear_session()
        try:
            result = train_and_evaluate(settings, run, command)
            if name == REFERENCE:
                reference = Reference(result, settings["num_test_updates"])
            row = row_of(name, settings, run, result, reference)
        except (ValueError, tf.errors.OpError) as error:  # must not cost the other rows
            row = Row(name, *_published(name, settings), f"failed: {str(error).splitlines()[0]}")
        if name == REFERENCE and row != rows.get(name):  # what was compared with another MT-net
            rows = {other: kept._replace(difference="") for other, kept in rows.items()}
        rows[name] = row
        say(f"[{number}/{len(methods)}] {name}: {row.measured}, {row.seconds or '?'} s a meta-step")
        write_files([rows[n] for n in METHODS if n in rows], path, settings)
    return [rows[name] for name in methods]


def _known_reference(rows, settings):
    """That of the row that an earlier command wrote, a `Reference`; None without one."""
    row = rows.get(REFERENCE)
    if row is None or not row.run:
        return None
    try:
        results = read_results(Path(settings["logdir"]) / row.run, _split(settings))
    except ValueError:  # the run folder has gone
        return None
    step = int(row.steps)
    found = (r for r in results if r.record["settings"]["num_test_updates"] >= step)
    return next((Reference(result, step) for result in found), None)


def settings_of(given, name):
    """All settings of a row.

    It is evaluated after as many inner steps as the user says, else its own paper, else the MT-net
    paper.
    """
    settings = resolve({**given, "method": name})
    recipe = {}
    if settings["recipe"] == "authors":
        recipe = METHODS[name].recipe(settings["datasource"], settings["num_classes"])
    if "num_test_updates" not in {**recipe, **given}:
        default = settings["num_test_updates"]
        settings["num_test_updates"] = EVALUATED_AFTER.get(_column(settings), default)
    return settings


def train_and_evaluate(settings, run, command):
    """Does what is not done yet.

    Args:
      settings: dict.
      run: `Run`.
      command: the command line, str.

    Returns:
      `comparison.Result`.
    """

    def quiet(text):
        """Says nothing: a row of a table is one line."""

    options = {"say": quiet, "verbose": 0}
    if settings["resume"] and run.latest():
        check_same_run(settings, run.config()["settings"])
    run_experiment.train_run(settings, run, command, build_learner, **options)
    if _find_evaluation(settings, run) is None:
        run_experiment.evaluate_run(settings, run, **options)
    return _find_evaluation(settings, run)


def _find_evaluation(settings, run):
    """The newest one of the newest checkpoint with these settings, a `Result`, or None."""
    split, newest = _split(settings), run.latest()
    if newest is None or not any(run.path.glob(f"{split}_*_episodes.csv")):
        return None
    for result in read_results(run.path, split):
        done = result.record["settings"]
        if (
            result.file.stat().st_mtime > newest.stat().st_mtime
            and done["num_test_updates"] >= settings["num_test_updates"]
            and all(done[name] == settings[name] for name in _OF_AN_EVALUATION)
        ):
            return result
    return None


def row_of(name, settings, run, result, reference):
    """The row of an evaluated run.

    Args:
      name: of the method.
      settings: dict.
      run: `Run`.
      result: `comparison.Result`.
      reference: `Reference`, None where there is none.

    Returns:
      `Row`.
    """
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
        "" if name == REFERENCE else _difference(settings, result, reference),
        str(len(result.scores)),
        str(int(rows[-1]["iteration"]) if rows else 0),
        str(record["iteration"]),
        str(step) if record.get("adapts_weights", True) else "",
        f"{np.median(seconds):.3g}" if seconds else "",
        str(record["num_meta_parameters"]),
        run.path.name,
    )


def _difference(settings, result, reference):
    """This row minus MT-net, each after its own inner steps, paired over the same episodes."""
    if reference is None:
        return "no MT-net row"
    found = align(result, reference.result)
    if found is None:  # the oracle has other inputs
        return "other episodes"
    own = found.scores_a[:, settings["num_test_updates"]]
    difference = own - found.scores_b[:, reference.step]
    return _interval(difference, result.record["metric"], sign="+")


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
    """What the MT-net paper prints and what the method's own paper does, for the same test."""
    shots = 1 if settings["datasource"] in IMAGES else 10
    same = settings["update_batch_size"] == shots and not settings["synthetic"]
    same = same and settings["test_set"]
    column = _column(settings) if same else None
    return [table.get(column, {}).get(name, "") for table in (PUBLISHED, OWN_PAPERS)]
