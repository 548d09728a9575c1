"""The rows of a table: an evaluation as text, what was published, the difference to MT-net."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from maml_baselines.tables.files import Row
from maml_baselines.tables.published import OWN_PAPERS, PUBLISHED
from mtnet_tf.evaluation import summarize
from mtnet_tf.experiments import Result, align, read_results, read_settings

REFERENCE = "mtnet"


class Scores(NamedTuple):
    """An evaluation, and the inner steps after which it counts."""

    result: Result
    step: int


def row_of(name, settings, run, scores):
    """The row of an evaluated run, not yet compared.

    Args:
      name: of the method.
      settings: `Settings`.
      run: `Run`.
      scores: `Scores`.

    Returns:
      `Row`.
    """
    record = scores.result.record
    rows = run.rows()
    seconds = [row["seconds_per_iteration"] for row in rows]
    seconds = seconds[1:] or seconds  # the first ones hold the time of compiling
    inductive = scores.result.inductive
    return Row(
        method=name,
        **published(name, settings),
        measured=_measured(scores),
        inductive="" if inductive is None else _mean(inductive, scores.step, record["metric"]),
        split=record["split"],
        episodes=str(len(scores.result.scores)),
        iterations=str(int(rows[-1]["iteration"]) if rows else 0),
        best=str(record["iteration"]),
        steps=str(scores.step) if record.get("adapts_weights", True) else "",
        seconds=f"{np.median(seconds):.3g}" if seconds else "",
        parameters=str(record["num_meta_parameters"]),
        run=run.path.name,
    )


def find_scores(row, logdir):
    """What a row of an earlier command was made of, `Scores`; None if that has gone."""
    if not row.run:
        return None
    try:
        results = read_results(Path(logdir) / row.run, row.split)
    except ValueError:
        return None
    step = int(row.steps or 1)  # a method without steps scores the same after any
    for result in results:
        is_long_enough = read_settings(result.record["settings"]).num_test_inner_steps >= step
        if is_long_enough and _measured(Scores(result, step)) == row.measured:
            return Scores(result, step)
    return None


def compare(rows, scores):
    """The rows with their differences to MT-net, each after its own inner steps.

    Args:
      rows: dict from method to `Row`.
      scores: dict from method to `Scores`, of those that have any.

    Returns:
      List of `Row`.
    """
    reference = scores.get(REFERENCE)
    found = (_difference(scores.get(name), reference) for name in rows)
    return [
        row if row.method == REFERENCE else row._replace(difference=text)
        for row, text in zip(rows.values(), found, strict=True)
    ]


def _difference(scores, reference):
    if scores is None or reference is None:
        return ""
    pairs = align(scores.result, reference.result)
    if pairs is None:  # the oracle has other inputs
        return "other episodes"
    difference = pairs.scores_a[:, scores.step] - pairs.scores_b[:, reference.step]
    return _interval(difference, scores.result.record["metric"], sign="+")


def _measured(scores):
    return _mean(scores.result.scores, scores.step, scores.result.record["metric"])


def _mean(scores, step, metric):
    return _interval(np.stack(list(scores.values()))[:, step], metric)


def _interval(scores, metric, sign=""):
    scale, digits = (100, 2) if metric == "accuracy" else (1, 3)
    found = summarize(scale * scores[:, None])
    return f"{found.mean[0]:{sign}.{digits}f} ± {found.ci95[0]:.{digits}f}"


def column_of(settings):
    """The column of the paper's tables that settings belong to: (data source, ways)."""
    is_image = settings.is_image
    return settings.data_source, settings.num_ways if is_image else None


def published(name, settings):
    """What the MT-net paper prints and what the method's own paper does, for the same test."""
    shots = 1 if settings.is_image else 10
    same = settings.num_shots == shots and not settings.synthetic
    same = same and settings.use_test_split
    column = column_of(settings) if same else None
    tables = {"published": PUBLISHED, "own": OWN_PAPERS}
    return {field: table.get(column, {}).get(name, "") for field, table in tables.items()}
