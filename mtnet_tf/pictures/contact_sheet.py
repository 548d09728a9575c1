"""The contact sheet of a prediction: support set (left), queries and predictions (right)."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data_prep.io import printable, replacing, user_path

_CELL = 1.15  # inches of an image with its caption
_MOST_SHOTS = 6
_MOST_QUERIES = 60
_LABEL_WIDTH = 1.5
_HEADING_WIDTH = 2.9
_INK, _FAINT, _SURE, _UNSURE = "#222222", "#777777", "#2a7f4f", "#b5651d"


def write_contact_sheet(
    path: str | Path,
    title: str,
    support: Mapping[str, Sequence[np.ndarray]],
    queries: Sequence[tuple[np.ndarray, str, str, float]],
) -> None:
    """Draws a contact sheet.

    Args:
        path: path of the PNG file.
        title: title of the sheet.
        support: dict from a label to its images, a list of arrays [H, W, C] in [0, 1].
        queries: list of (image, name, label, probability of the label).
    """
    left = _LABEL_WIDTH + _CELL * min(_MOST_SHOTS, max(map(len, support.values())))
    shown = queries[:_MOST_QUERIES]
    rows = max(len(support), math.ceil(math.sqrt(len(shown))))
    columns = math.ceil(len(shown) / rows)
    width = left + 0.5 + max(columns * _CELL, _HEADING_WIDTH)
    height = rows * _CELL + 1.0
    sheet = _Sheet(width, height)
    sheet.text(0.15, height - 0.3, title, size=11, weight="bold")
    sheet.text(0.15, height - 0.72, "Support set, as the network sees it", color=_FAINT)
    sheet.text(left + 0.5, height - 0.72, _queries_heading(len(queries)), color=_FAINT)
    sheet.separator(left + 0.22, height - 0.9)
    for row, (label, pictures) in enumerate(support.items()):
        top = height - 0.95 - row * _CELL
        sheet.text(0.15, top - 0.45, _short(label, 17), size=10)
        sheet.text(0.15, top - 0.65, _count(len(pictures)), size=7, color=_FAINT)
        for column, picture in enumerate(pictures[:_MOST_SHOTS]):
            sheet.picture(_LABEL_WIDTH + column * _CELL, top, picture)
    for i, (picture, name, label, probability) in enumerate(shown):
        x, top = left + 0.5 + (i % columns) * _CELL, height - 0.95 - (i // columns) * _CELL
        sheet.picture(x, top, picture)
        color = _SURE if probability >= 0.5 else _UNSURE
        answer = f"{_short(label, 11)} {probability:.0%}"
        sheet.text(x, top - 0.87, answer, size=7.5, color=color, weight="bold")
        sheet.text(x, top - 1.0, _short(name, 18), size=5.5, color=_FAINT)
    sheet.save(path)


def _queries_heading(count: int) -> str:
    heading = "Queries with predictions; orange: probability below 50%"
    return heading if count <= _MOST_QUERIES else f"{heading} (first {_MOST_QUERIES} of {count})"


def _count(shots: int) -> str:
    text = "1 image" if shots == 1 else f"{shots} images"
    return text if shots <= _MOST_SHOTS else f"{text}, {_MOST_SHOTS} shown"


def _short(text: str, length: int) -> str:
    """The text with a gap in the middle, because labels often have the same beginning."""
    text = printable(text)
    end = length // 2
    return text if len(text) <= length else f"{text[: length - end - 1]}…{text[-end:]}"


class _Sheet:
    """A figure with coordinates in inches from its lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        self._size = width, height
        self._figure = Figure(figsize=self._size, facecolor="white")
        FigureCanvasAgg(self._figure)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 8.5,
        color: str = _INK,
        weight: str = "normal",
    ) -> None:
        """Writes text literally, because a label may contain a dollar sign."""
        width, height = self._size
        self._figure.text(
            x / width, y / height, text, fontsize=size, color=color, weight=weight,
            parse_math=False, va="baseline",
        )  # fmt: skip

    def separator(self, x: float, top: float) -> None:
        """Draws a thin line from the bottom up to `top`."""
        width, height = self._size
        axes = self._figure.add_axes((x / width, 0.1 / height, 0.01 / width, top / height))
        axes.set(xticks=[], yticks=[], facecolor="#dddddd")
        axes.spines[:].set_visible(False)

    def picture(self, x: float, top: float, picture: np.ndarray) -> None:
        """Draws an image below `top`."""
        side = _CELL - 0.4
        width, height = self._size
        axes = self._figure.add_axes(
            (x / width, (top - side) / height, side / width, side / height)
        )
        grey = picture.shape[-1] == 1
        axes.imshow(picture[..., 0] if grey else picture, cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("#bbbbbb")

    def save(self, path: str | Path) -> None:
        """Writes the PNG file atomically."""
        with replacing(user_path(path)) as partial, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a label in a script without a font
            self._figure.savefig(partial, dpi=130)
