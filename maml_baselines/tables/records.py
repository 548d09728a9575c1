"""The records of a table, and their text in its files.

Only this file converts between numbers and text: `format_row` and `parse_row` are inverses.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

COLUMNS = (
    "method",
    "paper's table",
    "its own paper",
    "measured",
    "inductive",
    "minus MT-net",
    "split",
    "episodes",
    "iterations",
    "best",
    "steps",
    "s per meta-step",
    "parameters",
    "run",
)
_FAILED = "failed: "
_OTHER_EPISODES = "other episodes"
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, written with a fixed number of decimals.

    Example:
    >>> Estimate.parse("99.5 ± 0.3")
    Estimate(mean=99.5, ci95=0.3, decimals=1)
    >>> Estimate(-0.25, 0.5, decimals=3).format(sign=True)
    '-0.250 ± 0.500'

    Attributes:
        mean: accuracy in per cent, mean squared error, or a difference of two of these.
        ci95: half width of the interval, in the unit of the mean; None if it is unknown.
        decimals: number of decimals of both numbers in text.
    """

    mean: float
    ci95: float | None = None
    decimals: int = 2

    def format(self, *, sign: bool = False) -> str:
        """The text "mean ± ci95", or "mean" without an interval.

        Args:
            sign: whether a positive mean gets a plus sign, as differences do.
        """
        mean = f"{self.mean:{'+' if sign else ''}.{self.decimals}f}"
        return mean if self.ci95 is None else f"{mean} ± {self.ci95:.{self.decimals}f}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The estimate that `format` wrote.

        Raises:
            ValueError: if the text is not one number or two numbers with "±" between them.
        """
        mean, *half_widths = text.split(" ± ")
        ci95 = None
        if half_widths:
            (ci95,) = map(float, half_widths)
        return cls(float(mean), ci95, len(mean.partition(".")[2]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One method of a table. None stands for an empty cell.

    Attributes:
        method: name in `METHODS`.
        published: what the MT-net paper prints for the same tasks.
        own: what the method's own paper prints for them.
        measured: query score, each query set normalised with its own statistics.
        failure: why there is no score; None if there is one.
        inductive: query score, normalised with the statistics of the support set.
        difference: score minus the score of MT-net, paired over the same episodes.
        has_other_episodes: whether the method cannot be paired with MT-net, because its episodes
            differ.
        split: "test" or "val".
        episodes: number of distinct episodes.
        iterations: meta-iterations of training.
        best: meta-iteration of the evaluated checkpoint.
        steps: inner steps before the evaluation; None for a method that takes none.
        seconds: median time of a meta-step in seconds.
        parameters: number of meta-parameters.
        run: name of the run folder.
    """

    method: str
    published: Estimate | None = None
    own: Estimate | None = None
    measured: Estimate | None = None
    failure: str | None = None
    inductive: Estimate | None = None
    difference: Estimate | None = None
    has_other_episodes: bool = False
    split: str | None = None
    episodes: int | None = None
    iterations: int | None = None
    best: int | None = None
    steps: int | None = None
    seconds: float | None = None
    parameters: int | None = None
    run: str | None = None


def format_score(row: Row) -> str:
    """The text of the column "measured": a score, or the reason why there is none."""
    return _text(row.measured) if row.failure is None else f"{_FAILED}{row.failure}"


def format_seconds(row: Row) -> str:
    """The text of the column "s per meta-step", with three significant digits."""
    return "" if row.seconds is None else f"{row.seconds:.3g}"


def format_row(row: Row) -> list[str]:
    """The cells of a row, in the order of `COLUMNS`."""
    difference = row.difference.format(sign=True) if row.difference else ""
    return [
        row.method,
        _text(row.published),
        _text(row.own),
        format_score(row),
        _text(row.inductive),
        _OTHER_EPISODES if row.has_other_episodes else difference,
        _text(row.split),
        _text(row.episodes),
        _text(row.iterations),
        _text(row.best),
        _text(row.steps),
        format_seconds(row),
        _text(row.parameters),
        _text(row.run),
    ]


def _text(value: Estimate | int | str | None) -> str:
    if value is None:
        return ""
    return value.format() if isinstance(value, Estimate) else str(value)


def parse_row(cells: Sequence[str]) -> Row:
    """The row that `format_row` wrote.

    Args:
        cells: text of each of `COLUMNS`.

    Raises:
        ValueError: for a wrong number of cells, or text that is not a number where one is expected.
    """
    text = dict(zip(COLUMNS, cells, strict=True))
    failed = text["measured"].startswith(_FAILED)
    has_other_episodes = text["minus MT-net"] == _OTHER_EPISODES
    return Row(
        method=text["method"],
        published=_parse(Estimate.parse, text["paper's table"]),
        own=_parse(Estimate.parse, text["its own paper"]),
        measured=None if failed else _parse(Estimate.parse, text["measured"]),
        failure=text["measured"].removeprefix(_FAILED) if failed else None,
        inductive=_parse(Estimate.parse, text["inductive"]),
        difference=None if has_other_episodes else _parse(Estimate.parse, text["minus MT-net"]),
        has_other_episodes=has_other_episodes,
        split=_parse(str, text["split"]),
        episodes=_parse(int, text["episodes"]),
        iterations=_parse(int, text["iterations"]),
        best=_parse(int, text["best"]),
        steps=_parse(int, text["steps"]),
        seconds=_parse(float, text["s per meta-step"]),
        parameters=_parse(int, text["parameters"]),
        run=_parse(str, text["run"]),
    )


def _parse(kind: Callable[[str], _T], cell: str) -> _T | None:
    return kind(cell) if cell else None
