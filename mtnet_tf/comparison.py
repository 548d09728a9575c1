"""Two runs on the same episodes: the difference of each, not the difference of two means."""

import csv
import json
from typing import NamedTuple

import numpy as np

from mtnet_tf.intervals import bootstrap_interval, summarize
from mtnet_tf.runs import Run


class Result(NamedTuple):
    """The scores of one evaluation, read back from a run folder.

    Attributes:
      record: the JSON file, a dict.
      scores: dict from fingerprint to [S+1] query scores.
    """

    record: dict
    scores: dict


def read_result(path, split="test"):
    """Reads the newest evaluation of a run.

    Args:
      path: of the run folder.
      split: "test" or "val".

    Returns:
      `Result`.

    Raises:
      ValueError: if the run holds no evaluation of that split.
    """
    files = sorted(Run(path).path.glob(f"{split}_*_episodes.csv"), key=lambda f: f.stat().st_mtime)
    if not files:
        raise ValueError(
            f"No evaluation on the {split} split in {path}: evaluate the run first, with "
            f"`--run={path} --train=False`."
        )
    with files[-1].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name.startswith("query_after_")]
    scores = {row["episode"]: np.array([float(row[name]) for name in columns]) for row in rows}
    record = files[-1].with_name(files[-1].name.replace("_episodes.csv", ".json"))
    return Result(json.loads(record.read_text(encoding="utf-8")), scores)


class Pairs(NamedTuple):
    """The scores of two runs on the E episodes that both were evaluated on.

    Attributes:
      a, b: `Result`.
      scores_a, scores_b: [E, S+1].
    """

    a: Result
    b: Result
    scores_a: np.ndarray
    scores_b: np.ndarray


def pair(path_a, path_b, split="test"):
    """Pairs the newest evaluations of two runs, episode by episode.

    Args:
      path_a: of a run folder.
      path_b: of another, evaluated on the same episodes.
      split: "test" or "val".

    Returns:
      `Pairs`.

    Raises:
      ValueError: if an evaluation is missing, or the two share no episodes.
    """
    a, b = read_result(path_a, split), read_result(path_b, split)
    common = [key for key in a.scores if key in b.scores]
    if len(common) < 2 or a.record["metric"] != b.record["metric"]:
        raise ValueError(
            f"{path_a} and {path_b} were not evaluated on the same episodes: data source, split, "
            "ways, shots, queries and --seed must be the same. Evaluate one of them again with "
            "the flags of the other."
        )
    steps = min(len(r.scores[common[0]]) for r in (a, b))
    scores = [np.stack([r.scores[key][:steps] for key in common]) for r in (a, b)]
    return Pairs(a, b, *scores)


def compare(path_a, path_b, split="test"):
    """The paired difference of two runs, episode by episode.

    Args and raises: as of `pair`.

    Returns:
      The table to print, str.
    """
    a, b, *scores = pair(path_a, path_b, split)
    num_common = len(scores[0])
    lines = [f"A: {path_a} (iteration {a.record['iteration']})"]
    lines += [f"B: {path_b} (iteration {b.record['iteration']})"]
    lines.append(f"{split} split, {a.record['metric']}, {num_common} distinct episodes in common")
    if num_common < max(len(a.scores), len(b.scores)):
        lines.append(f"(A has {len(a.scores)}, B has {len(b.scores)}; the others are left out)")
    return "\n".join([*lines, *_table(*scores, a.record["metric"])])


def _table(a, b, metric):
    scale = 100 if metric == "accuracy" else 1
    difference = summarize(scale * (a - b))
    low, high = bootstrap_interval(scale * (a - b))
    header = ("steps", "A", "B", "A - B", "95 %", "bootstrap 95 %")
    yield "{:>6}{:>10}{:>10}{:>10}{:>10}{:>22}".format(*header)
    for step in range(a.shape[1]):
        means = [scale * x[:, step].mean() for x in (a, b)]
        row = f"{step:>6}{means[0]:>10.3f}{means[1]:>10.3f}{difference.mean[step]:>+10.3f}"
        yield f"{row}{'± ':>4}{difference.ci95[step]:<6.3f}{low[step]:>+11.3f} to {high[step]:+.3f}"
