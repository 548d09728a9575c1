"""Pictures of a run, written as PNG. Needs no display."""

import os
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def _figure(title, num_axes=1):
    figure = Figure(figsize=(6.4 * num_axes, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(1, num_axes, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write(figure, path):
    partial = Path(path).with_suffix(".partial.png")
    figure.savefig(partial, dpi=110)
    os.replace(partial, path)


def plot_training(rows, path, title):
    """Draws losses, and accuracy where there is one, against the meta-iteration.

    Args:
      rows: dicts with "iteration" and the metrics of `MetaLearner.fit`.
      path: of the PNG.
      title: text above.
    """
    has_accuracy = "accuracy" in rows[-1]
    figure, axes = _figure(title, 2 if has_accuracy else 1)
    x = [row["iteration"] for row in rows]
    labels = {
        "support_loss": "support, before adaptation",
        "loss": "query, after adaptation",
        "val_loss": "query, after adaptation (validation)",
    }
    for name, label in labels.items():
        axes[0].plot(x, [row[name] for row in rows], label=label)
    axes[0].set(xlabel="meta-iteration", ylabel="loss per task")
    if has_accuracy:
        axes[1].plot(x, [row["accuracy"] for row in rows], label="training")
        axes[1].plot(x, [row["val_accuracy"] for row in rows], label="validation")
        axes[1].set(xlabel="meta-iteration", ylabel="query accuracy after adaptation")
    else:
        axes[0].set_yscale("log")
    for axis in axes:
        axis.legend(frameon=False, fontsize=9)
    _write(figure, path)


def plot_adaptation(summary, path, title, metric):
    """Draws the mean query score after each inner step with its 95 % interval.

    Args:
      summary: `Summary` of scores [E, S+1].
      path: of the PNG.
      title: text above.
      metric: name of the score.
    """
    figure, (axis,) = _figure(title)
    steps = range(len(summary.mean))
    axis.errorbar(steps, summary.mean, yerr=summary.ci95, marker="o", capsize=3)
    axis.set(xlabel="inner steps", ylabel=f"query {metric}", xticks=list(steps))
    _write(figure, path)
