"""Makes the rows of a table: scores of an evaluation, published numbers, differences to MT-net."""

import dataclasses
from collections.abc import Mapping
from math import isclose
from pathlib import Path

import numpy as np

from maml_baselines.tables.published import OWN_PAPERS, PUBLISHED
from maml_baselines.tables.records import Estimate, Row
from mtnet_tf.evaluation import summarize
from mtnet_tf.experiments import Result, Run, Settings, align, read_results, read_settings

REFERENCE = "mtnet"
_TIME = "seconds_per_iteration"  # a column of metrics.csv


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of an evaluation.

    Attributes:
        result: of the evaluation.
        step: number of inner steps after which the score counts.
    """

    result: Result
    step: int


def row_of(name: str, settings: Settings, run: Run, scores: Scores) -> Row:
    """The row of an evaluated run, without a difference to MT-net.

    Args:
        name: of the method.
        settings: of the run.
        run: folder of the run.
        scores: of its evaluation.
    """
    record = scores.result.record
    return Row(
        method=name,
        published=published_in(PUBLISHED, name, settings),
        own=published_in(OWN_PAPERS, name, settings),
        measured=measured_of(scores),
        inductive=inductive_of(scores),
        split=record["split"],
        episodes=len(scores.result.scores),
        iterations=run.num_iterations(),
        best=record["iteration"],
        steps=scores.step if record.get("adapts_weights", True) else None,
        seconds=_seconds([line[_TIME] for line in run.rows() if _TIME in line]),
        parameters=record["num_meta_parameters"],
        run=run.path.name,
        evaluation=scores.result.file.name,
    )


def _seconds(seconds: list[float]) -> float | None:
    """The median, without the first value, which includes compilation; None without values."""
    return float(np.median(seconds[1:] or seconds)) if seconds else None


def find_scores(row: Row, runs_dir: Path | str) -> Scores | None:
    """Reads the evaluation that a row rests on.

    Args:
        row: of an earlier command.
        runs_dir: folder of the run folders.

    Returns:
        The scores; None if the file no longer exists, or was overwritten with other scores.
    """
    for scores in read_scores(row, runs_dir):
        is_named = scores.result.file.name == row.evaluation
        if is_named and row.measured and isclose(measured_of(scores).mean, row.measured.mean):
            return scores
    return None


def read_scores(row: Row, runs_dir: Path | str) -> list[Scores]:
    """Reads the evaluations of a row's run that have enough inner steps, the newest first.

    Args:
        row: of an earlier command.
        runs_dir: folder of the run folders.
    """
    if row.run is None:
        return []
    try:
        results = read_results(Path(runs_dir) / row.run, row.split or "test")
    except ValueError:
        return []
    step = row.steps or 1  # a method without inner steps has the same score after any number
    return [
        Scores(result, step)
        for result in results
        if read_settings(result.record["settings"]).num_test_inner_steps >= step
    ]


def compare(rows: Mapping[str, Row], scores: Mapping[str, Scores | None]) -> list[Row]:
    """Adds the differences to MT-net, each method after its own number of inner steps.

    A row keeps its difference if one of the two evaluations no longer exists.

    Args:
        rows: from the name of a method to its row.
        scores: from the name of a method to its scores; None or missing if it has none.
    """
    reference = scores.get(REFERENCE)
    return [
        row if name == REFERENCE else _with_difference(row, scores.get(name), reference)
        for name, row in rows.items()
    ]


def without_difference(row: Row) -> Row:
    """The row before it is compared with MT-net."""
    return dataclasses.replace(row, difference=None, has_other_episodes=False)


def _with_difference(row: Row, scores: Scores | None, reference: Scores | None) -> Row:
    if scores is None or reference is None:
        return row
    pairs = align(scores.result, reference.result)
    if pairs is None:  # the oracle has other inputs
        return dataclasses.replace(row, difference=None, has_other_episodes=True)
    differences = pairs.scores_a[:, scores.step] - pairs.scores_b[:, reference.step]
    estimate = _estimate(differences, scores.result.record["metric"])
    return dataclasses.replace(row, difference=estimate, has_other_episodes=False)


def measured_of(scores: Scores) -> Estimate:
    """The mean query score."""
    return _mean(scores.result.scores, scores)


def inductive_of(scores: Scores) -> Estimate | None:
    """The mean inductive score; None if no layer normalises over a set."""
    inductive = scores.result.inductive
    return None if inductive is None else _mean(inductive, scores)


def _mean(found: Mapping[str, np.ndarray], scores: Scores) -> Estimate:
    """The mean over episodes of the scores [S+1] found for them, after the step that counts."""
    after_step = np.stack(list(found.values()))[:, scores.step]
    return _estimate(after_step, scores.result.record["metric"])


def _estimate(scores: np.ndarray, metric: str) -> Estimate:
    """The mean of the scores [E] of episodes: accuracies in per cent, or squared errors."""
    scale, decimals = (100, 2) if metric == "accuracy" else (1, 3)
    found = summarize(scale * scores[:, None])
    return Estimate(float(found.mean[0]), float(found.ci95[0]), decimals)


def column_of(settings: Settings) -> tuple[str, int | None]:
    """The column of the paper's tables that settings belong to: data source and number of ways."""
    return settings.data_source, settings.num_ways if settings.is_image else None


def published_in(
    table: Mapping[tuple[str, int | None], Mapping[str, Estimate]], name: str, settings: Settings
) -> Estimate | None:
    """What a table prints for a method, if the settings are those of the table.

    Args:
        table: `PUBLISHED` or `OWN_PAPERS`.
        name: of the method.
        settings: of a run.
    """
    is_same_test = (
        settings.num_shots == (1 if settings.is_image else 10)
        and not settings.synthetic
        and settings.use_test_split
    )
    return table.get(column_of(settings), {}).get(name) if is_same_test else None
