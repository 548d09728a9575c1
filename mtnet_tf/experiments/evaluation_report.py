"""The files and the table of an evaluation."""

import dataclasses

import numpy as np

from mtnet_tf._files import write_csv, write_json
from mtnet_tf._version import versions
from mtnet_tf.evaluation import bootstrap_interval, calibration, confusion, summarize
from mtnet_tf.experiments.plots import plot_adaptation, plot_answers
from mtnet_tf.experiments.reports import title
from mtnet_tf.experiments.settings import DEFAULTS

# More classes than a heat map can name are grouped by their folder (Omniglot's alphabets), if any.
MOST_NAMED_CLASSES = 50
INDUCTIVE_NOTE = """\
* normalised by the support set alone: each query is answered by itself. The other columns are
  transductive, as in the paper: normalised by all queries together."""


def write(run, evaluation, settings, split, iteration, *, class_names=None, extras=None):
    """Writes the files of an evaluation.

    The authors' CSV (`update0` is the support score before adaptation), a JSON with everything
    needed to repeat it, the scores of every episode, and plots.

    Args:
      run: `Run`.
      evaluation: `Evaluation`.
      settings: `Settings`.
      split: "test" or "val".
      iteration: meta-iteration of the checkpoint that was evaluated.
      class_names: names of all classes of the data set, for `evaluation.classes`.
      extras: dict, further entries of the JSON.

    Returns:
      The table to print, str.
    """
    path = run.path / file_stem(settings, split)
    heading = f"{title(settings)}: {split} split"
    write_csv(f"{path}.csv", _authors_rows(evaluation))
    plot_adaptation(evaluation, f"{path}.png", heading)
    record = {**_record(evaluation, settings, split, iteration), **(extras or {})}
    record["trained"] = run.config()
    if evaluation.probabilities is not None:
        step = min(settings.num_inner_steps, evaluation.query.shape[1] - 1)
        found = calibration(evaluation.probabilities[:, step], evaluation.labels)
        record["expected_calibration_error"] = found.error
        confused, names = _confusion(evaluation, step, class_names)
        text = f"{heading}, after {step} step{'s' * (step != 1)}"
        plot_answers(found, confused, names, f"{path}_answers.png", text)
    write_json(f"{path}.json", record)
    # Last, since that is what `comparison.pair` looks for.
    write_csv(f"{path}_episodes.csv", _episode_rows(evaluation))
    return _table(evaluation, heading) + f"\nWritten to {path}*"


def file_stem(settings, split):
    """Name of the files: the authors', and what differs from the usual evaluation."""
    stem = f"{split}_ubs{settings.num_shots}_stepsize{settings.step_size}"
    words = {"seed": "seed", "num_queries": "queries", "checkpoint_iteration": "iter"}
    words |= {"num_test_inner_steps": "updates", "num_test_episodes": "episodes"}
    values = settings.as_dict()
    rest = [f"{w}{values[n]}" for n, w in words.items() if values[n] != DEFAULTS[n]]
    return "_".join([stem, *rest])


def _authors_rows(evaluation):
    query, support = summarize(evaluation.query), summarize(evaluation.support)
    yield [f"update{i}" for i in range(len(query.mean))]
    for name in ("mean", "std", "ci95"):
        before, after = getattr(support, name), getattr(query, name)
        yield [before, *after[1:]]


def _episode_rows(evaluation):
    steps = range(evaluation.query.shape[1])
    columns = [evaluation.fingerprints, evaluation.support, *evaluation.query.T]
    header = ["episode", "support_before", *(f"query_after_{i}" for i in steps)]
    if evaluation.inductive is not None:
        columns += [*evaluation.inductive.T]
        header += [f"inductive_after_{i}" for i in steps]
    yield header
    yield from zip(*columns, strict=True)


def _record(evaluation, settings, split, iteration):
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


def _statistics(scores):
    low, high = bootstrap_interval(scores)
    named = {**dataclasses.asdict(summarize(scores)), "bootstrap95_low": low, "bootstrap95_high": high}
    return {name: np.asarray(value, float).tolist() for name, value in named.items()}


def _confusion(evaluation, step, class_names):
    """Rates of confusion and the names of their rows; by label where classes are unknown."""
    probabilities, labels = evaluation.probabilities[:, step], evaluation.labels
    num_ways = probabilities.shape[-1]
    classes, names = np.tile(np.arange(num_ways), (len(labels), 1)), range(num_ways)
    if class_names is None or evaluation.classes is None:
        return confusion(probabilities, labels, classes, num_ways), [f"label {i}" for i in names]
    present = np.unique(evaluation.classes)
    groups = [class_names[c] for c in present]
    if len(groups) > MOST_NAMED_CLASSES and all("/" in name for name in groups):
        groups = [name.rpartition("/")[0] for name in groups]
    names, rows = np.unique(groups, return_inverse=True)
    classes = rows[np.searchsorted(present, evaluation.classes)]
    rates = confusion(probabilities, labels, classes, len(names))
    # Where there are too many to name, those that are mistaken most.
    shown = np.sort(np.argsort(np.diag(rates), kind="stable")[:MOST_NAMED_CLASSES])
    return rates[np.ix_(shown, shown)], list(names[shown])


def _table(evaluation, heading):
    show = _percent if evaluation.metric == "accuracy" else "{:.3g}".format
    support, query = summarize(evaluation.support), summarize(evaluation.query)
    names = ["before, support set", "before, query set"]
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


def _percent(value):
    return f"{100 * value:.2f} %"
