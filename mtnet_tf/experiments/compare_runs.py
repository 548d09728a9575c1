"""Two runs on the same episodes: the paired difference, episode by episode."""

import csv
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.io import read_json
from mtnet_tf.evaluation import bootstrap_interval, summarize
from mtnet_tf.experiments.run_folder import Run


@dataclasses.dataclass(frozen=True)
class Result:
    """The scores of one evaluation, read back from a run folder.

    Attributes:
        record: the content of the JSON file.
        scores: dict from fingerprint to [S+1] query scores.
        inductive: the same for inductive scores; None if no layer normalises over a set.
        file: path of the scores.
    """

    record: dict[str, Any]
    scores: dict[str, np.ndarray]
    inductive: dict[str, np.ndarray] | None
    file: Path


def read_results(path: str | Path, split: str = "test") -> list[Result]:
    """Reads every evaluation of a run, the newest first.

    Args:
        path: path of the run folder.
        split: "test" or "val".

    Returns:
        List of `Result`.

    Raises:
        ValueError: if the run contains no evaluation on this split.
    """
    files = sorted(Run(path).path.glob(f"{split}_*_episodes.csv"), key=lambda f: f.stat().st_mtime)
    if not files:
        raise ValueError(
            f"No evaluation on the {split} split in {path}: evaluate the run first, with "
            f"`run_dir={path}` and `train=False`."
        )
    return [_read(file) for file in reversed(files)]


def _read(file: Path) -> Result:
    """Reads the scores of an evaluation and its JSON file.

    Raises:
        ValueError: if one of them is damaged, or they do not belong together.
    """
    try:
        text = file.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("the last line is cut off")
        (_, *names), *rows = csv.reader(text.splitlines())
        record = read_json(file.with_name(file.name.replace("_episodes.csv", ".json")))
        scores = np.array([values for _, *values in rows], float).reshape(-1, len(names))
        fingerprints = [row[0] for row in rows]
        query, inductive = (
            _columns(fingerprints, names, scores, f"{kind}_after_")
            for kind in ("query", "inductive")
        )
        is_whole = record.get("num_distinct_episodes", len(rows)) == len(rows)
        if not (query and is_whole and {"metric", "iteration"} <= record.keys()):
            raise ValueError("scores or entries are missing")
    except (OSError, ValueError, AttributeError, csv.Error) as error:
        raise ValueError(
            f"The evaluation in {file} is damaged ({error}). Delete this file and evaluate the run "
            "again."
        ) from error
    return Result(record, query, inductive, file)


def _columns(
    fingerprints: Sequence[str], names: Sequence[str], scores: np.ndarray, prefix: str
) -> dict[str, np.ndarray] | None:
    """From each fingerprint to the columns [S+1] of `scores` whose names have this prefix."""
    chosen = [i for i, name in enumerate(names) if name.startswith(prefix)]
    return dict(zip(fingerprints, scores[:, chosen], strict=True)) if chosen else None


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The scores of two runs on the E episodes that both were evaluated on.

    Attributes:
        a, b: the two evaluations.
        scores_a, scores_b: [E, S+1], each with its own number of inner steps.
        inductive_a, inductive_b: the same for inductive scores; None unless both have them.
    """

    a: Result
    b: Result
    scores_a: np.ndarray
    scores_b: np.ndarray
    inductive_a: np.ndarray | None
    inductive_b: np.ndarray | None


def pair(path_a: str | Path, path_b: str | Path, split: str = "test") -> Pairs:
    """Pairs the newest evaluations of two runs that share episodes.

    Args:
        path_a: path of a run folder.
        path_b: path of another one, evaluated on the same episodes.
        split: "test" or "val".

    Returns:
        `Pairs`.

    Raises:
        ValueError: if an evaluation is missing, or the two share no episodes.
    """
    for a, b in itertools.product(read_results(path_a, split), read_results(path_b, split)):
        found = align(a, b)
        if found is not None:
            return found
    raise ValueError(
        f"{path_a} and {path_b} were not evaluated on the same episodes. Evaluate both with the "
        "same data source, split, ways, shots, queries and `seed`."
    )


def align(a: Result, b: Result) -> Pairs | None:
    """Pairs two evaluations; None if they share no episodes."""
    common = [key for key in a.scores if key in b.scores]
    if len(common) < 2 or a.record["metric"] != b.record["metric"]:
        return None
    scores = _stack(a.scores, b.scores, common)
    inductive: Sequence[np.ndarray | None] = (None, None)
    if a.inductive is not None and b.inductive is not None:
        inductive = _stack(a.inductive, b.inductive, common)
    return Pairs(a, b, *scores, *inductive)


def _stack(
    a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], common: Sequence[str]
) -> list[np.ndarray]:
    """Scores of the common episodes, a pair of [E, S+1]."""
    return [np.stack([scores[key] for key in common]) for scores in (a, b)]


def compare(path_a: str | Path, path_b: str | Path, split: str = "test") -> str:
    """The mean difference of the scores of two runs, paired by episode, after each inner step.

    Args:
        path_a: path of a run folder.
        path_b: path of another one, evaluated on the same episodes.
        split: "test" or "val".

    Returns:
        The table to print.

    Raises:
        ValueError: if an evaluation is missing, or the two share no episodes.
    """
    pairs = pair(path_a, path_b, split)
    a, b, metric, num_common = pairs.a, pairs.b, pairs.a.record["metric"], len(pairs.scores_a)
    lines = [f"A: {path_a} (iteration {a.record['iteration']})"]
    lines += [f"B: {path_b} (iteration {b.record['iteration']})"]
    lines.append(f"{split} split, {metric}, {num_common} distinct episodes in common")
    if num_common < max(len(a.scores), len(b.scores)):
        lines.append(f"(A has {len(a.scores)}, B has {len(b.scores)}; the others are ignored)")
    if pairs.inductive_a is None or pairs.inductive_b is None:
        return "\n".join([*lines, *_table(pairs.scores_a, pairs.scores_b, metric)])
    lines += ["", "Transductive, as in the paper: normalised by all queries together"]
    lines += _table(pairs.scores_a, pairs.scores_b, metric)
    lines += ["", "Inductive: normalised by the support set, each query independently"]
    return "\n".join([*lines, *_table(pairs.inductive_a, pairs.inductive_b, metric)])


def _table(a: np.ndarray, b: np.ndarray, metric: str) -> Iterator[str]:
    scale = 100 if metric == "accuracy" else 1
    steps = min(a.shape[1], b.shape[1])
    a, b = a[:, :steps], b[:, :steps]
    difference = summarize(scale * (a - b))
    low, high = bootstrap_interval(scale * (a - b))
    header = ("steps", "A", "B", "A - B", "95 %", "bootstrap 95 %")
    yield "{:>6}{:>10}{:>10}{:>10}{:>10}{:>22}".format(*header)
    for step in range(a.shape[1]):
        means = [scale * x[:, step].mean() for x in (a, b)]
        row = f"{step:>6}{means[0]:>10.3f}{means[1]:>10.3f}{difference.mean[step]:>+10.3f}"
        yield f"{row}{'± ':>4}{difference.ci95[step]:<6.3f}{low[step]:>+11.3f} to {high[step]:+.3f}"
