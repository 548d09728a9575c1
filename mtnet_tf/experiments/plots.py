"""Plots of a run, written as PNG files without a display."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data_prep.io import replacing
from mtnet_tf.evaluation import Calibration, Evaluation, RegressionCurves, summarize
from mtnet_tf.experiments.confusion_plot import Confusion, draw_confusion


def _figure(
    title: str, num_axes: int = 1, width: float = 6.4, height: float = 4.2, sharey: bool = False
) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width * num_axes, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(1, num_axes, squeeze=False, sharey=sharey)[0]
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write(figure: Figure, path: str | Path) -> None:
    with replacing(path) as partial, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in a script without a font
        figure.savefig(partial, dpi=110)


def plot_training(rows: Sequence[Mapping[str, float]], path: str | Path, title: str) -> None:
    """Plots losses, and the accuracy if there is one, over meta-iterations.

    Args:
        rows: one dict per validation, with "iteration" and the metrics of `fit`.
        path: path of the PNG file.
        title: title of the plot.
    """
    has_accuracy = "accuracy" in rows[-1]
    figure, axes = _figure(title, 2 if has_accuracy else 1)

    def column(name: str) -> list[float]:
        return [row.get(name, np.nan) for row in rows]

    x = column("iteration")
    marker = "o" if len(rows) < 10 else None  # a single point would be invisible
    labels = {
        "support_loss": "training: support, before adaptation",
        "loss": "training: query, after adaptation",
        "val_loss": "validation: query, after adaptation",
    }
    # Without colours, the styles of the lines tell them apart.
    for (name, label), style in zip(labels.items(), ("dotted", "dashed", "solid"), strict=True):
        if name not in rows[-1]:
            continue  # the method does not adapt
        axes[0].plot(x, column(name), linestyle=style, label=label, marker=marker)
    axes[0].set(xlabel="meta-iteration", ylabel="loss per task")
    if has_accuracy:
        axes[1].plot(x, column("accuracy"), linestyle="dashed", label="training", marker=marker)
        axes[1].plot(x, column("val_accuracy"), label="validation", marker=marker)
        axes[1].set(xlabel="meta-iteration", ylabel="query accuracy after adaptation")
    else:
        axes[0].set_yscale("log")
    for axis in axes:
        axis.legend(frameon=False, fontsize=9)
    _write(figure, path)


def plot_adaptation(evaluation: Evaluation, path: str | Path, title: str) -> None:
    """Plots the mean query score after each inner step with its 95 % interval.

    Args:
        evaluation: the scores.
        path: path of the PNG file.
        title: title of the plot.
    """
    figure, (axis,) = _figure(title)
    curves = {"transductive (as in the paper): all queries together": evaluation.query}
    if evaluation.inductive is not None:
        curves["inductive: each query independently"] = evaluation.inductive
    steps = range(evaluation.query.shape[1])
    styles = ("solid", "dashed")
    for (label, scores), style in zip(curves.items(), styles, strict=False):
        found = summarize(scores)
        line = {"marker": "o", "linestyle": style, "label": label}
        axis.errorbar(steps, found.mean, found.ci95, capsize=3, **line)
    if len(curves) > 1:
        axis.legend(frameon=False, fontsize=9)
    axis.set(
        xlabel="number of inner steps", ylabel=f"query {evaluation.metric}", xticks=list(steps)
    )
    _write(figure, path)


def plot_answers(
    calibration: Calibration, confusion: Confusion, path: str | Path, title: str
) -> None:
    """Plots accuracy against confidence, and which classes are confused.

    Args:
        calibration: accuracy by confidence.
        confusion: mistakes by class.
        path: path of the PNG file.
        title: title of the plot.
    """
    figure, (left, right) = _figure(title, 2, height=6)
    centres = (calibration.edges[1:] + calibration.edges[:-1]) / 2
    left.plot([0, 1], [0, 1], color="black", linestyle="dashed", linewidth=1, zorder=3)
    width = 0.9 * np.diff(calibration.edges)
    left.bar(centres, np.nan_to_num(calibration.accuracy), width, alpha=0.8)
    for x, accuracy, count in zip(centres, calibration.accuracy, calibration.count, strict=True):
        if count:
            left.text(x, accuracy + 0.01, f"{count:,}", ha="center", fontsize=7)
    left.set(
        xlabel="probability of the prediction",
        ylabel="fraction of correct predictions",
        xlim=(0, 1),
    )
    left.set_ylim(0, 1.05)
    left.set_title(
        f"calibration error {calibration.error:.3f}; above each bar: number of predictions",
        fontsize=9,
    )
    draw_confusion(figure, right, confusion)
    _write(figure, path)


def plot_scores(
    scores: Mapping[str, Sequence[float]],
    published: Mapping[str, Mapping[str, float]],
    path: str | Path,
    title: str,
    xlabel: str,
) -> None:
    """Plots the score of each method with its interval, and published scores as open marks.

    Args:
        scores: dict from name to (mean, half of the 95 % interval).
        published: dict from label to a dict from name to number.
        path: path of the PNG file.
        title: title of the plot.
        xlabel: unit of the scores.
    """
    figure, (axis,) = _figure(title, height=1.5 + 0.28 * len(scores))
    names = list(scores)[::-1]
    mean, half = np.array([scores[name] for name in names]).T
    axis.errorbar(mean, range(len(names)), xerr=half, fmt="o", capsize=3, label="measured here")
    for marker, (label, numbers) in zip("D^", published.items(), strict=True):
        places = [i for i, name in enumerate(names) if name in numbers]
        x = [numbers[names[i]] for i in places]
        axis.plot(x, places, marker, markerfacecolor="none", color="grey", label=label)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.set_xlabel(xlabel)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    _write(figure, path)


def plot_regression(curves: RegressionCurves, path: str | Path, title: str) -> None:
    """Plots predictions before and after some inner steps (Figure 4, appendix C).

    Args:
        curves: predictions for some tasks.
        path: path of the PNG file.
        title: title of the plot.
    """
    figure, axes = _figure(title, len(curves.x), width=4.2, sharey=True)
    shades = np.linspace(0.75, 0.0, len(curves.steps))
    for task, axis in enumerate(axes):
        axis.plot(curves.x[task], curves.y[task], linestyle="dashed", color="tab:red", label="task")
        for step, shade, y in zip(curves.steps, shades, curves.predictions, strict=True):
            label = f"after {step} step{'s' * (step > 1)}" if step else "before"
            style = {"color": str(shade), "linestyle": "-" if step else ":", "linewidth": 1.2}
            axis.plot(curves.x[task], y[task], label=label, **style)
        points = (curves.support_x[task], curves.support_y[task])
        axis.scatter(*points, s=18, color="tab:red", zorder=3, label="support")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", frameon=False, fontsize=9)
    _write(figure, path)
