"""Every reference file of the authors' TF1 code, within tolerance."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fidelity import compare as fidelity

GOLDEN = Path(os.environ.get("MTNET_SHARED", "missing")) / "golden"
FILES = sorted(GOLDEN.glob("*.npz"))
JIT = ("sinusoid_mtnet_updates5", "omniglot_mtnet_updates1")
pytestmark = pytest.mark.data


@pytest.mark.skipif(not FILES, reason="needs the reference numbers: set MTNET_SHARED")
@pytest.mark.parametrize("dtype", fidelity.TOLERANCE)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_agrees_with_the_authors_code(path, dtype):
    worst = fidelity.compare(path, dtype, jit=path.stem in JIT)
    if dtype == "float64":
        assert "grad" in worst
    for error, key in worst.values():
        assert error <= fidelity.TOLERANCE[dtype], key


@pytest.fixture
def changed_copy(tmp_path, shared):
    """Function: writes a small reference file with some arrays changed."""

    def write(**changes):
        name = "sinusoid_mnet_updates1"
        arrays = dict(np.load(shared / "golden" / f"{name}.npz"))
        for key, change in changes.items():
            arrays[key.replace("__", "/")] = change(arrays.get(key.replace("__", "/")))
        np.savez(tmp_path / f"{name}.npz", **{k: v for k, v in arrays.items() if v is not None})
        shutil.copy(shared / "golden" / "MANIFEST.json", tmp_path)
        return str(tmp_path / f"{name}.npz")

    return write


@pytest.mark.parametrize("wrong", [1 + 1e-7, np.nan])
def test_the_comparison_notices_a_wrong_number(changed_copy, wrong, capsys):
    path = changed_copy(f64__grad__w2_prob=lambda array: array * wrong)
    assert fidelity.main([path]) == 1
    assert "above tolerance: grad/w2_prob" in capsys.readouterr().out


def test_right_numbers_are_exit_status_0(changed_copy):
    assert fidelity.main([changed_copy()]) == 0


def test_what_cant_be_compared_fails_in_one_line(changed_copy, tmp_path, capsys):
    path = changed_copy(f64__novel=lambda array: np.ones(3))
    assert fidelity.main([path, str(tmp_path / "none.npz")]) == 1
    printed = capsys.readouterr().out
    assert "an array that this script doesn't know: f64/novel" in printed
    assert "none.npz" in printed and "Traceback" not in printed
