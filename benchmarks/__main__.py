"""Times meta-steps of this package and of other frameworks, interleaved in one run.

    python -m benchmarks                                   # everything; several minutes
    python -m benchmarks --work omniglot5 --methods mtnet --contestants ours jax_patches
    python -m benchmarks --sweep tasks                     # time and memory against a size

Prints the table, and stores it in the output folder as CSV, Markdown and PNG.
"""

import argparse
import dataclasses
import datetime
import itertools
import os
import platform
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.contestants import CONTESTANTS
from benchmarks.measure import Row, measure
from benchmarks.work import METHODS, WORKS, Work, work

SWEEPS = {
    "tasks": (1, 2, 4, 8, 16, 32, 64, 128),
    "ways": (2, 5, 10, 20, 40),
    "shots": (1, 2, 5, 10),
    "inner_steps": (1, 2, 3, 5, 10),
    "filters": (8, 16, 32, 64, 128),
    "image_size": (14, 28, 56, 84),
}
SWEEP_CONTESTANTS = ("ours", "jax_patches")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both keep what was measured
    name = f"sweep_{options.sweep}" if options.sweep else options.name
    contestants = options.contestants or (SWEEP_CONTESTANTS if options.sweep else CONTESTANTS)
    rows: list[Row] = []
    conditions: dict[str, object] = {}
    for changed, value in _cases(options):
        shown = "" if value is None else f", {options.sweep}={value}"
        _log(f"{changed.name}, {changed.method}{shown}")
        found, interrupted = measure(changed, contestants, options.rounds, _log, tf32=options.tf32)
        rows += [dataclasses.replace(row, value=value) for row in found]
        conditions = _conditions(rows, options)
        report.write(rows, conditions, options.output, name)
        if interrupted:
            break
    sys.stdout.write(report.markdown(rows, conditions))


def _cases(options: argparse.Namespace) -> Iterator[tuple[Work, int | None]]:
    """Each work to time, with the value of the size that a sweep changes."""
    values = SWEEPS[options.sweep] if options.sweep else (None,)
    works = options.work or (["omniglot5"] if options.sweep else list(WORKS))
    methods = options.methods or (["mtnet"] if options.sweep else METHODS)
    for name, method, value in itertools.product(works, methods, values):
        yield _changed(name, method, options.sweep, value), value


def _parser() -> argparse.ArgumentParser:
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=kind
    )
    many = {"nargs": "+", "metavar": "NAME"}
    parser.add_argument("--work", choices=WORKS, help=f"of {', '.join(WORKS)}; all", **many)
    parser.add_argument("--methods", choices=METHODS, help="mtnet, maml; both", **many)
    known = f"of {', '.join(CONTESTANTS)}; all. The first one is the reference of the check"
    parser.add_argument("--contestants", choices=CONTESTANTS, help=known, **many)
    parser.add_argument("--rounds", type=int, default=10, help="timed rounds; 10")
    parser.add_argument("--output", type=Path, default=Path("benchmark_results"), help="folder")
    parser.add_argument("--name", default="meta_step", help="of the files of a table; meta_step")
    parser.add_argument("--sweep", choices=SWEEPS, help="vary this size instead of a table")
    parser.add_argument("--tf32", action="store_true", help="products in TF32 on a GPU")
    return parser


def _changed(case: str, method: str, sweep: str | None, value: int | None) -> Work:
    if sweep is None or value is None:
        return work(case, method)
    if sweep != "image_size":
        return work(case, method, **{sweep: value})
    image = work(case, method).image
    return work(case, method, image=image and (value, image[1]))


def _conditions(rows: Sequence[Row], options: argparse.Namespace) -> dict[str, object]:
    timed = [row for row in rows if row.seconds]
    rates = [row.machine_flops for row in timed] or [0.0]
    return {
        "device": ", ".join(sorted({row.device for row in timed})),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "matrix product": f"{min(rates) / 1e9:.0f} – {max(rates) / 1e9:.0f} GFLOP/s",
        "rounds": options.rounds,
        "load": f"at most {max((row.load for row in rows), default=0):.2f}",
        "largest difference of gradients": f"{max((r.difference for r in rows), default=0):.1e}",
        "versions": "; ".join(sorted({row.versions for row in timed})),
        "python": platform.python_version(),
        "products": "TF32" if options.tf32 else "float32",
        "sweep": options.sweep or "",
        "date": datetime.date.today().isoformat(),
    }


def _log(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
