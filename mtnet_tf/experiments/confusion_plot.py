"""Which classes are confused: a matrix, or with many classes the most confused pairs."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtnet_tf.experiments.class_labels import class_labels

MOST_CLASSES_IN_MATRIX = 20
NUM_PAIRS = 8
# From the position of a class among the names to one of its images, uint8 [H, W, C].
PictureOf = Callable[[int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often C classes were predicted as each other.

    Attributes:
        counts: [C, C], number of predictions, true class by predicted class.
        chances: [C, C], number of queries of the true class in episodes with the other class.
        names: names of the C classes.
        picture_of: gives an image of a class; None if there are none.
    """

    counts: np.ndarray
    chances: np.ndarray
    names: Sequence[str]
    picture_of: PictureOf | None = None

    def pairs(self) -> list[tuple[int, int]]:
        """The most frequent mistakes (true class, predicted class), the most frequent first.

        Of equal ones, the first is that with the higher rate, and then that of the class with more
        mistakes.
        """
        rates = self.counts / np.maximum(self.chances, 1)
        of_class = self.counts.sum(1, keepdims=True) - np.diag(self.counts)[:, None]
        keys = (of_class + np.zeros_like(rates), rates, self.counts)
        order = np.lexsort([-key.ravel() for key in keys])
        pairs = (divmod(int(i), len(self.names)) for i in order)
        mistakes = (pair for pair in pairs if pair[0] != pair[1] and self.counts[pair] > 0)
        return [pair for pair, _ in zip(mistakes, range(NUM_PAIRS), strict=False)]

    def describe_pairs(self) -> list[dict[str, str | int]]:
        """The most frequent mistakes with the full names of their classes, for a JSON file."""
        return [
            {
                "true": self.names[i],
                "predicted": self.names[j],
                "count": int(self.counts[i, j]),
                "of": int(self.chances[i, j]),
            }
            for i, j in self.pairs()
        ]


def draw_confusion(figure: Figure, axis: Axes, confusion: Confusion) -> None:
    """Draws the matrix, or the most confused pairs of many classes.

    Args:
        figure: of the axis.
        axis: empty.
        confusion: what to draw.
    """
    if len(confusion.names) <= MOST_CLASSES_IN_MATRIX:
        _draw_matrix(figure, axis, confusion)
    else:
        _draw_pairs(axis, confusion)


def _draw_matrix(figure: Figure, axis: Axes, confusion: Confusion) -> None:
    labels = class_labels(confusion.names)
    # On the scale of the correct predictions, mistakes would be too pale to see.
    counts = np.where(np.eye(len(labels), dtype=bool), np.nan, confusion.counts)
    with np.errstate(invalid="ignore"):
        mistakes = 100 * counts / confusion.chances
    highest = np.nanmax(mistakes, initial=1.0)
    image = axis.imshow(mistakes, vmin=0, vmax=highest, cmap="Blues")
    axis.grid(False)
    size = max(6, min(9, 150 // len(labels)))
    options = {"fontsize": size, "parse_math": False}
    axis.set_xticks(range(len(labels)), labels, rotation=90, **options)
    axis.set_yticks(range(len(labels)), labels, **options)
    for row, column in np.argwhere(mistakes >= 0.5):
        value = mistakes[row, column]
        color = "white" if value > 0.6 * highest else "black"
        axis.text(column, row, f"{value:.0f}", ha="center", va="center", color=color, fontsize=size)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_title("mistakes in % of the queries in episodes with both classes", fontsize=9)
    figure.colorbar(image, ax=axis, shrink=0.8)


def _draw_pairs(axis: Axes, confusion: Confusion) -> None:
    labels = class_labels(confusion.names, longest=32)
    axis.set_axis_off()
    pairs = confusion.pairs()
    heading = f"the most frequent mistakes among {len(labels)} classes, in episodes with both"
    axis.set_title(heading if pairs else f"no mistakes among {len(labels)} classes", fontsize=9)
    height = 1 / NUM_PAIRS
    for number, (i, j) in enumerate(pairs):
        bottom = 1 - (number + 1) * height
        left = 0.0
        if confusion.picture_of is not None:
            for k in (i, j):
                _draw_picture(axis, left, bottom, 0.9 * height, confusion.picture_of(k))
                left += height
        count, chances = int(confusion.counts[i, j]), int(confusion.chances[i, j])
        text = (
            f"{labels[i]}\npredicted as {labels[j]}\n{count} of {chances} ({count / chances:.0%})"
        )
        axis.text(
            left + 0.02, bottom + 0.45 * height, text,
            va="center", fontsize=9, parse_math=False, transform=axis.transAxes,
        )  # fmt: skip


def _draw_picture(axis: Axes, left: float, bottom: float, side: float, picture: np.ndarray) -> None:
    inset = axis.inset_axes((left, bottom, side, side))
    is_grey = picture.shape[-1] == 1
    inset.imshow(picture[..., 0] if is_grey else picture, cmap="gray", vmin=0, vmax=255)
    inset.grid(False)
    inset.set(xticks=[], yticks=[])
    inset.spines[:].set_color("grey")
