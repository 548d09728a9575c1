"""The files and the printed table of an evaluation."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.io import write_csv, write_json
from mtnet_tf._version import versions
from mtnet_tf.evaluation import (
    Evaluation,
    bootstrap_interval,
    calibration,
    count_confusions,
    summarize,
)
from mtnet_tf.experiments.confusion_plot import Confusion, PictureOf
from mtnet_tf.experiments.plots import plot_adaptation, plot_answers
from mtnet_tf.experiments.reports import title
from mtnet_tf.experiments.run_folder import Run
from mtnet_tf.experiments.settings import DEFAULTS, Settings

INDUCTIVE_NOTE = """\
* inductive: normalised by the support set, so that each query is predicted independently. The other
  columns are transductive, as in the paper: normalised by all queries together."""


def write(
    run: Run,
    evaluation: Evaluation,
    settings: Settings,
    split: str,
    iteration: int,
    *,
    class_names: Sequence[str] | None = None,
    picture_of: PictureOf | None = None,
    extras: Mapping[str, Any] | None = None,
) -> str:
    """Writes the files of an evaluation.

    These are a CSV file in the authors' form, in which `update0` is the support score before
    adaptation; a JSON file with everything needed to repeat the evaluation; the scores of every
    episode; and plots.

    Args:
        run: run folder.
        evaluation: the scores.
        settings: settings of the evaluation.
        split: "test" or "val".
        iteration: meta-iteration of the checkpoint that was evaluated.
        class_names: names of all classes of the data set, for `evaluation.classes`.
        picture_of: function from a class of the data set to one of its images.
        extras: further entries of the JSON file.

    Returns:
        The table to print.
    """
    path = run.path / file_stem(settings, split)
    episodes = Path(f"{path}_episodes.csv")
    # Written last, because `compare_runs` looks for this file. An earlier one is of other scores.
    episodes.unlink(missing_ok=True)
    heading = f"{title(settings)}: {split} split"
    write_csv(f"{path}.csv", _authors_rows(evaluation))
    plot_adaptation(evaluation, f"{path}.png", heading)
    record = {**_record(evaluation, settings, split, iteration), **(extras or {})}
    record["trained"] = run.config()
    if evaluation.probabilities is not None and evaluation.labels is not None:
        step = min(settings.num_inner_steps, evaluation.query.shape[1] - 1)
        found = calibration(evaluation.probabilities[:, step], evaluation.labels)
        record["expected_calibration_error"] = found.error
        answers = evaluation.probabilities[:, step], evaluation.labels
        confused = _confusion(*answers, evaluation.classes, class_names, picture_of)
        record["most_frequent_mistakes"] = confused.describe_pairs()
        text = f"{heading}, after {step} step{'s' * (step != 1)}"
        plot_answers(found, confused, f"{path}_answers.png", text)
    write_json(f"{path}.json", record)
    write_csv(episodes, _episode_rows(evaluation))
    return _table(evaluation, heading) + f"\nWritten to {path}*"


def file_stem(settings: Settings, split: str) -> str:
    """Name of the files: that of the authors, followed by settings that are not the default."""
    stem = f"{split}_ubs{settings.num_shots}_stepsize{settings.step_size}"
    words = {"seed": "seed", "num_queries": "queries", "checkpoint_iteration": "iter"}
    words |= {"num_test_inner_steps": "updates", "num_test_episodes": "episodes"}
    values = settings.as_dict()
    rest = [f"{w}{values[n]}" for n, w in words.items() if values[n] != DEFAULTS[n]]
    return "_".join([stem, *rest])


def _authors_rows(evaluation: Evaluation) -> Iterator[list[Any]]:
    query, support = summarize(evaluation.query), summarize(evaluation.support)
    yield [f"update{i}" for i in range(len(query.mean))]
    for name in ("mean", "std", "ci95"):
        before, after = getattr(support, name), getattr(query, name)
        yield [before, *after[1:]]


def _episode_rows(evaluation: Evaluation) -> Iterator[Sequence[Any]]:
    steps = range(evaluation.query.shape[1])
    columns = [evaluation.fingerprints, evaluation.support, *evaluation.query.T]
    header = ["episode", "support_before", *(f"query_after_{i}" for i in steps)]
    if evaluation.inductive is not None:
        columns += [*evaluation.inductive.T]
        header += [f"inductive_after_{i}" for i in steps]
    yield header
    yield from zip(*columns, strict=True)


def _record(
    evaluation: Evaluation, settings: Settings, split: str, iteration: int
) -> dict[str, Any]:
    record = {
        "metric": evaluation.metric,
        "split": split,
        "synthetic": settings.synthetic,
        "num_distinct_episodes": len(evaluation.fingerprints),
        "support_before": _statistics(evaluation.support),
        "query_after_step": _statistics(evaluation.query),
        "iteration": iteration,
        "settings": settings.as_dict(),
        "versions": versions(),
    }
    if evaluation.inductive is not None:
        record["inductive_query_after_step"] = _statistics(evaluation.inductive)
    return record


def _statistics(scores: np.ndarray) -> dict[str, list[float]]:
    low, high = bootstrap_interval(scores)
    named = {
        **dataclasses.asdict(summarize(scores)),
        "bootstrap95_low": low,
        "bootstrap95_high": high,
    }
    return {name: np.asarray(value, float).tolist() for name, value in named.items()}


def _confusion(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray | None,
    class_names: Sequence[str] | None,
    picture_of: PictureOf | None,
) -> Confusion:
    """The mistakes among the classes that occur; among the labels if classes are unknown."""
    if class_names is None or classes is None:
        num_ways = probabilities.shape[-1]
        numbers = np.tile(np.arange(num_ways), (len(labels), 1))
        counted = count_confusions(probabilities, labels, numbers, num_ways)
        return Confusion(*counted, [f"label {i}" for i in range(num_ways)])
    present, rows = np.unique(classes, return_inverse=True)
    numbers = rows.reshape(classes.shape)
    counted = count_confusions(probabilities, labels, numbers, len(present))
    pictures = picture_of and (lambda row: picture_of(int(present[row])))
    return Confusion(*counted, [str(class_names[c]) for c in present], pictures)


def _table(evaluation: Evaluation, heading: str) -> str:
    show: Callable[..., str] = _percent if evaluation.metric == "accuracy" else _three_digits
    support, query = summarize(evaluation.support), summarize(evaluation.query)
    names = ["support set, before", "query set, before"]
    names += [f"after {i} step{'s' * (i > 1)}" for i in range(1, len(query.mean))]
    rows = [(support.mean, support.std, support.ci95)]
    rows += zip(query.mean, query.std, query.ci95, strict=True)
    lines = [f"{heading}, {evaluation.metric}, {len(evaluation.fingerprints)} distinct episodes"]
    lines.append(f"{'':>22}{'mean':>10}{'std':>10}{'95 % interval':>16}")
    for name, (mean, std, ci95) in zip(names, rows, strict=True):
        lines.append(f"{name:>22}{show(mean):>10}{show(std):>10}{'± ' + show(ci95):>16}")
    if evaluation.inductive is None:
        return "\n".join(lines)
    found = summarize(evaluation.inductive)
    lines[1] += f"{'inductive*':>22}"
    for i, (mean, ci95) in enumerate(zip(found.mean, found.ci95, strict=True), start=3):
        lines[i] += f"{show(mean) + ' ± ' + show(ci95):>22}"
    return "\n".join([*lines, INDUCTIVE_NOTE])


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _three_digits(value: float) -> str:
    """Three significant digits, with trailing zeros so that columns align."""
    return f"{value:#.3g}".rstrip(".")
