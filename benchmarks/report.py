"""What is stored: a CSV file with every number, a Markdown table, and pictures."""

import csv
import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.measure import Row
from data_prep.io import replacing, write_csv, write_json, write_text

REFERENCE = "ours"
HEADER = (
    "| work | method | contestant | ms per step | quartiles | ratio | of the products' rate | "
    "first step, s | memory, MiB |\n|---|---|---|---|---|---|---|---|---|\n"
)
_JSON = "seconds"


def write(rows: Sequence[Row], conditions: dict[str, Any], folder: Path, name: str) -> None:
    """Writes `name`.csv, `name`.json (the conditions), `name`.md and `name`.png."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = [field.name for field in dataclasses.fields(Row)]
    records = [{**dataclasses.asdict(row), _JSON: json.dumps(row.seconds)} for row in rows]
    write_csv(folder / f"{name}.csv", [fields, *([r[field] for field in fields] for r in records)])
    write_json(folder / f"{name}.json", conditions)
    write_text(folder / f"{name}.md", markdown(rows, conditions))
    plot = plot_sweep if any(row.value is not None for row in rows) else plot_bars
    with replacing(folder / f"{name}.png") as partial:
        plot(rows, conditions, partial)


def read(folder: Path, name: str) -> tuple[list[Row], dict[str, Any]]:
    """The rows and conditions that `write` stored."""
    kinds = {field.name: field.type for field in dataclasses.fields(Row)}
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            Row(**{k: _parsed(kinds[k], v) for k, v in r.items()}) for r in csv.DictReader(file)
        ]
    return rows, json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _parsed(kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if kind is float or kind is int:
        return kind(text)
    return json.loads(text) if text else None


def markdown(rows: Sequence[Row], conditions: dict[str, Any]) -> str:
    """The table, and the conditions below it.

    The ratio is to our row of the same work, method and value: above 1 is slower than ours.
    """
    ours = {_key(row): row.median for row in rows if row.contestant == REFERENCE and row.seconds}
    lines = [_line(row, ours.get(_key(row))) for row in rows]
    stated = [f"- {name}: {value}\n" for name, value in conditions.items() if value != ""]
    return HEADER + "".join(lines) + "\n" + "".join(stated)


def _key(row: Row) -> tuple[Any, ...]:
    return row.work, row.method, row.value


def _line(row: Row, reference: float | None) -> str:
    value = "" if row.value is None else f" {row.value}"
    start = f"| {row.work}{value} | {row.method} | {CONTESTANTS[row.contestant].title} | "
    if not row.seconds:
        return start + f"{row.note} | | | | | |\n"
    first, third = (1e3 * q for q in row.quartiles)
    ratio = f"{row.median / reference:.2f}" if reference else ""
    rate = f"{row.flops_per_second / row.machine_flops:.0%}" if row.machine_flops else ""
    memory = f"{row.peak / 2**20:.0f}"
    memory += f" + {row.gpu_peak / 2**20:.0f} on the GPU" if row.gpu_peak else ""
    return (
        f"{start}{1e3 * row.median:.4g} | {first:.4g} – {third:.4g} | {ratio} | {rate} | "
        f"{row.first_step:.1f} | {memory} |\n"
    )


def _axes(columns: int, rows: int = 1) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    options = {"squeeze": False, "layout": "constrained"}
    return pyplot.subplots(rows, columns, figsize=(4.6 * columns, 3.4 * rows), **options)


def plot_bars(rows: Sequence[Row], conditions: dict[str, Any], file: Path) -> None:
    """A panel per work: milliseconds of every contestant, MT-net and MAML."""
    works = list(dict.fromkeys(row.work for row in rows))
    figure, axes = _axes(max(1, len(works)))
    for axis, work in zip(axes[0], works, strict=False):
        timed = [row for row in rows if row.work == work and row.seconds]
        names = list(dict.fromkeys(row.contestant for row in timed))[::-1]
        for method, offset, color in (("maml", -0.2, "tab:orange"), ("mtnet", 0.2, "tab:blue")):
            _draw_bars(axis, [r for r in timed if r.method == method], names, offset, color, method)
        axis.set_yticks(range(len(names)), [CONTESTANTS[name].title for name in names])
        axis.set(title=work, xlabel="ms per meta-step")
        axis.legend(fontsize=8)
    figure.suptitle(str(conditions.get("device", "")))
    figure.savefig(file, dpi=110, format="png")


def _draw_bars(
    axis: Any, rows: Iterable[Row], names: list[str], offset: float, color: str, label: str
) -> None:
    rows = list(rows)
    if not rows:
        return
    positions = [names.index(row.contestant) + offset for row in rows]
    medians = [1e3 * row.median for row in rows]
    bars = axis.barh(positions, medians, 0.38, color=color, label=label)
    axis.bar_label(bars, [f"{m:.3g}" for m in medians], fontsize=7, padding=2)
    axis.margins(x=0.15)


def plot_sweep(rows: Sequence[Row], conditions: dict[str, Any], file: Path) -> None:
    """Time and memory against the changed size, on logarithmic axes."""
    from matplotlib.ticker import LogLocator

    figure, axes = _axes(2)
    quantities = (
        ("ms per meta-step", lambda row: 1e3 * row.median),
        ("peak memory, MiB", lambda row: (row.gpu_peak or row.peak) / 2**20),
    )
    series = list(dict.fromkeys((row.contestant, row.method) for row in rows))
    values = sorted({row.value for row in rows})
    for axis, (label, quantity) in zip(axes[0], quantities, strict=True):
        for contestant, method in series:
            found = [r for r in rows if (r.contestant, r.method) == (contestant, method)]
            found = [row for row in found if row.seconds]
            title = f"{CONTESTANTS[contestant].title}, {method}"
            axis.plot([r.value for r in found], [quantity(r) for r in found], "o-", label=title)
        axis.set(xlabel=conditions["sweep"].replace("_", " "), ylabel=label)
        axis.set(xscale="log", yscale="log")
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.set_xticks([], minor=True)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize=8)
    figure.suptitle(f"{rows[0].work}, {conditions.get('device', '')}")
    figure.savefig(file, dpi=110, format="png")
