"""Interleaved rounds: in each round, every contestant runs a number of steps."""

import contextlib
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.processes import (
    MAX_POOLING_TOLERANCE,
    TF32_TOLERANCE,
    TOLERANCE,
    Worker,
    WorkerError,
    difference,
)
from benchmarks.work import Work, flops
from benchmarks.worker import MATRIX_PRODUCT

SECONDS_PER_ROUND = 0.5  # of one contestant; at least one step
Log = Callable[[str], None]


@dataclasses.dataclass
class Row:
    """The result of a contestant.

    Attributes:
        work: name of the work.
        method: "mtnet" or "maml".
        contestant: name in `CONTESTANTS`.
        seconds: of one step, one value per round.
        first_step: seconds of the first step, which compiles.
        start: seconds to import the framework and to build the program.
        peak: peak memory of the process, in bytes.
        gpu_peak: peak memory of the GPU, in bytes.
        difference: from our loss and meta-gradient, see `difference`.
        flops_per_second: of the matrix products that the step needs.
        machine_flops: of a large matrix product, median over the same rounds.
        load: load average at the end.
        device: "CPU" or the name of the GPU.
        versions: of the packages.
        note: why there are no seconds; empty if there are.
        value: of the changed size in a sweep.
    """

    work: str
    method: str
    contestant: str
    seconds: list[float] = dataclasses.field(default_factory=list)
    first_step: float = 0.0
    start: float = 0.0
    peak: int = 0
    gpu_peak: int = 0
    difference: float = 0.0
    flops_per_second: float = 0.0
    machine_flops: float = 0.0
    load: float = 0.0
    device: str = ""
    versions: str = ""
    note: str = ""
    value: int | None = None

    @property
    def median(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile of the seconds of a step."""
        if len(self.seconds) < 2:
            return self.median, self.median
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third


def measure(
    work: Work,
    contestants: Sequence[str],
    rounds: int,
    log: Log,
    *,
    tf32: bool = False,
    start_worker: Callable[..., Any] = Worker,
) -> tuple[list[Row], bool]:
    """Times the contestants on one work.

    A contestant that is not installed, fails, or computes another gradient than the first one,
    which is the reference, has a row with a note instead of seconds. An interruption ends the
    rounds; what was measured is returned.

    Args:
        work: what to time.
        contestants: names; the first is the reference.
        rounds: number of rounds after a first one that does not count.
        log: receives lines of progress.
        tf32: products in TF32 on a GPU.
        start_worker: creates a `Worker`.

    Returns:
        Pair (a row per contestant that can do this method; whether it was interrupted).
    """
    rows = {
        name: Row(work.name, work.method, name)
        for name in contestants
        if work.method in CONTESTANTS[name].methods
    }
    interrupted = False
    with contextlib.ExitStack() as stack:
        workers: dict[str, Any] = {}
        machine: list[float] = []
        try:
            _start_all(work, rows, workers, stack, log, tf32, start_worker)
            yardstick = stack.enter_context(start_worker(MATRIX_PRODUCT, {}, tf32))
            _run_rounds(rows, workers, yardstick, machine, rounds, log)
        except KeyboardInterrupt:
            interrupted = True
            log("interrupted; what was measured is kept")
    for row in rows.values():
        row.load = os.getloadavg()[0]
        row.machine_flops = statistics.median(machine) if machine else 0.0
        if row.seconds:
            row.flops_per_second = flops(work) / row.median
        elif not row.note:
            row.note = "interrupted"
    return list(rows.values()), interrupted


def _start_all(
    work: Work,
    rows: dict[str, Row],
    workers: dict[str, Any],
    stack: contextlib.ExitStack,
    log: Log,
    tf32: bool,
    start_worker: Callable[..., Any],
) -> None:
    expected = None
    for name, row in rows.items():
        missing = CONTESTANTS[name].missing()
        if missing:
            row.note = f"skipped: {', '.join(missing)} not installed"
            log(f"{name}: {row.note}")
            continue
        start = time.perf_counter()
        try:
            worker = stack.enter_context(start_worker(name, dataclasses.asdict(work), tf32))
        except WorkerError as error:
            row.note = f"error: {error}"
            log(f"{name}: {row.note}")
            continue
        result = worker.result()
        expected = result if expected is None else expected
        _fill(row, worker.started, difference(result, expected))
        if row.difference > _tolerance(work, tf32):
            row.note = f"rejected: gradients differ by {row.difference:.1e}"
            worker.stop()
        else:
            workers[name] = worker
        spent = time.perf_counter() - start
        log(f"{name}: {row.note or 'ready'} after {spent:.1f} s, differs by {row.difference:.1e}")


def _tolerance(work: Work, tf32: bool) -> float:
    """The largest difference of the gradients of a correct contestant.

    Each further inner step amplifies rounding, and the effect of a ReLU whose sign depends on it.
    """
    if tf32:
        return TF32_TOLERANCE
    further = 2 * TOLERANCE * (work.inner_steps - 1)
    return max(TOLERANCE + further, MAX_POOLING_TOLERANCE if work.max_pool else 0.0)


def _fill(row: Row, started: dict[str, Any], found: float) -> None:
    row.start, row.first_step = started["start"], started["first"]
    row.device, row.difference = started["device"], found
    row.versions = ", ".join(f"{name} {number}" for name, number in started["versions"].items())


def _run_rounds(
    rows: dict[str, Row],
    workers: dict[str, Any],
    yardstick: Any,
    machine: list[float],
    rounds: int,
    log: Log,
) -> None:
    steps = {}
    for number in range(rounds + 1):
        for name, worker in list(workers.items()):
            try:
                if not number:  # warm-up, which also tells how many steps fill a round
                    worker.run(1)
                    seconds = worker.run(2)["seconds"] / 2
                    steps[name] = max(1, round(SECONDS_PER_ROUND / seconds))
                    continue
                answer = worker.run(steps[name])
            except WorkerError as error:
                rows[name].note = f"error: {error}"
                rows[name].seconds.clear()
                del workers[name]
                log(f"{name}: {rows[name].note}")
                continue
            rows[name].seconds.append(answer["seconds"] / steps[name])
            rows[name].peak, rows[name].gpu_peak = answer["peak"], answer["gpu_peak"]
        if number:
            machine.append(3 * yardstick.started["operations"] / yardstick.run(3)["seconds"])
            log(f"round {number} of {rounds}")
