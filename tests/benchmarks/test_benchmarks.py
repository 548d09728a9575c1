"""The benchmark: its bookkeeping, and the check that every contestant computes the same."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are not installed

from benchmarks import report
from benchmarks.contestants import CONTESTANTS
from benchmarks.document import document
from benchmarks.measure import Row, measure
from benchmarks.processes import WorkerError, difference
from benchmarks.work import batches, cells, flops, initial_weights, work

TINY = {"tasks": 2, "image": (10, 1), "filters": 3, "batches": 2}
TINY_WORKS = {
    "omniglot5": TINY,
    "miniimagenet1": {**TINY, "image": (32, 3), "queries": 2, "inner_steps": 2},
    "sinusoid": {"tasks": 2, "batches": 3, "hidden": 4},
}


class FakeWorker:
    """A worker whose steps take 0.25 s, except for contestants that do not behave."""

    def __init__(self, contestant, work, tf32):
        self.name = contestant
        if contestant == "torch_loop":
            raise WorkerError("no such device")
        self.started = {"start": 1.0, "first": 2.0, "device": "CPU", "versions": {"tf": "1"}}
        self.started["operations"] = 1e9

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def run(self, steps):
        if self.name == "higher":
            raise WorkerError("killed")
        return {"seconds": 0.25 * steps, "peak": 7, "gpu_peak": 0}

    def result(self):
        return 1.0, {"W0": np.array([2.0 if self.name == "jax_conv" else 1.0])}

    def stop(self):
        pass


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "absent" else name)
    absent = dataclasses.replace(CONTESTANTS["torch_vmap"], packages=("absent",))
    monkeypatch.setitem(CONTESTANTS, "torch_vmap", absent)
    names = ["ours", "jax_conv", "torch_vmap", "torch_loop", "higher", "tf_original"]
    found, _ = measure(work("omniglot5", "maml"), names, 3, print, start_worker=FakeWorker)
    return {row.contestant: row for row in found}


def test_each_round_gives_the_seconds_of_a_step(rows):
    assert rows["ours"].seconds == rows["tf_original"].seconds == [0.25] * 3
    assert rows["ours"].flops_per_second == flops(work("omniglot5", "maml")) / 0.25
    assert rows["ours"].machine_flops == 4e9


def test_other_gradients_are_rejected_instead_of_timed(rows):
    assert rows["jax_conv"].note == "rejected: gradients differ by 1.0e+00"
    assert rows["jax_conv"].seconds == []


def test_missing_packages_and_failures_are_rows_with_a_note(rows):
    assert rows["torch_vmap"].note == "skipped: absent not installed"
    assert rows["torch_loop"].note == "error: no such device"
    assert rows["higher"].note == "error: killed"


def test_an_interruption_keeps_what_was_measured():
    class Interrupted(FakeWorker):
        calls = 0

        def run(self, steps):
            Interrupted.calls += 1
            if Interrupted.calls > 4:  # two of the warm-up, a round and its matrix product
                raise KeyboardInterrupt
            return super().run(steps)

    found = measure(work("sinusoid", "maml"), ["ours"], 9, print, start_worker=Interrupted)
    (row,), interrupted = found
    assert interrupted and row.seconds == [0.25] and row.note == ""


def test_rows_are_stored_and_read_back(rows, tmp_path):
    stored = list(rows.values())
    report.write(stored, {"device": "CPU"}, tmp_path, "table")
    assert report.read(tmp_path, "table") == (stored, {"device": "CPU"})
    table = (tmp_path / "table.md").read_text()
    assert "| omniglot5 | maml | TensorFlow, original style | 250 | 250 – 250 | 1.00 |" in table
    assert (tmp_path / "table.png").stat().st_size > 0


def test_a_sweep_is_plotted(tmp_path):
    rows = [Row("omniglot5", "mtnet", "ours", [0.1 * n], peak=n, value=n) for n in (1, 2)]
    report.write(rows, {"sweep": "tasks"}, tmp_path, "sweep")
    assert (tmp_path / "sweep.png").stat().st_size > 0


def test_the_operations_of_a_dense_network_are_counted():
    # W: 2*1*4*rows + ...: support 4 F, 9 F, 9 F of 10 examples; query 2 F, 3 F, 3 F of 10.
    products = [2 * 10 * d * u for d, u in ((1, 4), (4, 4), (4, 1))]
    expected = 2 * (6 * products[0] + 12 * products[1] + 12 * products[2])
    assert flops(work("sinusoid", "maml", tasks=2, hidden=4)) == expected


def test_a_difference_is_relative_to_the_whole_gradient():
    expected = (2.0, {"a": np.array([3.0]), "b": np.array([4.0])})
    assert difference((2.0, {"a": np.array([3.0]), "b": np.array([4.5])}), expected) == 0.1
    assert difference((2.0, {"a": np.array([3.0])}), expected) == np.inf
    assert difference((np.nan, expected[1]), expected) == np.inf


def first_step(contestant, found):
    return (
        CONTESTANTS[contestant].program(found, initial_weights(found), batches(found)).first_step()
    )


def check(contestant, name, method):
    missing = CONTESTANTS[contestant].missing()
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    tiny = work(name, method, **TINY_WORKS[name])
    loss, gradients = first_step(contestant, tiny)
    assert len(gradients) == (4 if method == "mtnet" else 2) * len(cells(tiny)) + (
        4 if tiny.classifies else 0
    )
    assert difference((loss, gradients), first_step("ours", tiny)) < 1e-4


def test_the_original_style_computes_our_gradient():
    check("tf_original", "sinusoid", "mtnet")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mtnet", "maml"])
@pytest.mark.parametrize("name", TINY_WORKS)
@pytest.mark.parametrize("contestant", [name for name in CONTESTANTS if name != "ours"])
def test_every_contestant_computes_our_gradient(contestant, name, method):
    if method not in CONTESTANTS[contestant].methods:
        pytest.skip(f"{contestant} does not do {method}")
    check(contestant, name, method)


def test_the_page_contains_every_stored_table(rows, tmp_path):
    report.write(list(rows.values()), {"device": "CPU"}, tmp_path, "table")
    page = document(tmp_path)
    assert "## table" in page and "| omniglot5 | maml | mtnet_tf | 250 |" in page
