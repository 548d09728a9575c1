"""The records of a table: their values in JSON, and their text in CSV and Markdown.

A row is stored with `dataclasses.asdict`, and `row_from` is the inverse. Its text is only shown.
"""

import dataclasses
from typing import Any, Self, TypeVar, get_type_hints

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
FAILED = "failed: "
OTHER_EPISODES = "other episodes"
_ESTIMATES = ("published", "own", "measured", "inductive", "difference")
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, shown with a fixed number of decimals.

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
        evaluation: name of the file in it with the scores of every episode.
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
    evaluation: str | None = None


def format_score(row: Row) -> str:
    """The text of the column "measured": a score, or the reason why there is none."""
    return _text(row.measured) if row.failure is None else f"{FAILED}{row.failure}"


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
        OTHER_EPISODES if row.has_other_episodes else difference,
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


def row_from(values: Any) -> Row:
    """The row that `dataclasses.asdict` made these values of.

    Args:
        values: from the name of a field of `Row` to its value, as read from JSON.

    Raises:
        ValueError: if a field is missing or unknown, or its value has another type.
    """
    row = _fields_of(Row, values)
    estimates = {n: _made(Estimate, row[n]) for n in _ESTIMATES if row.get(n) is not None}
    return _made(Row, {**row, **estimates})


def _fields_of(kind: type, values: Any) -> dict[str, Any]:
    """The values, if they are those of fields of a dataclass; else raises ValueError."""
    known = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(values, dict) or not known >= set(values):
        raise ValueError(f"something else than the fields of `{kind.__name__}`")
    return values


def _made(kind: type[_T], values: Any) -> _T:
    """A dataclass of values, if they have the annotated types; else raises ValueError."""
    types = get_type_hints(kind)
    for name, value in _fields_of(kind, values).items():
        if not isinstance(value, types[name]):
            raise ValueError(f"`{name}={value!r}` in `{kind.__name__}`")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"a `{kind.__name__}` with missing fields") from error
