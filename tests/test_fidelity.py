"""Every reference file of the authors' TF1 code, within tolerance."""

import os
from pathlib import Path

import fidelity
import pytest

GOLDEN = Path(os.environ.get("MTNET_SHARED", "missing")) / "golden"
FILES = sorted(GOLDEN.glob("*.npz"))
JIT = ("sinusoid_mtnet_updates5", "omniglot_mtnet_updates1")
pytestmark = pytest.mark.data


@pytest.mark.skipif(not FILES, reason="needs the reference numbers: set MTNET_SHARED")
@pytest.mark.parametrize("dtype", fidelity.TOLERANCE)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_agrees_with_the_authors_code(path, dtype):
    worst = fidelity.compare(path, dtype, jit=path.stem in JIT)
    assert {"losses", "outputs", "fast", "grad", "adam1"} <= set(worst)
    for group, (error, key) in worst.items():
        if fidelity.judged(path, group, dtype):
            assert error <= fidelity.TOLERANCE[dtype], key


def test_the_comparison_notices_a_wrong_number(tmp_path, shared):
    """A reference changed in the seventh digit must fail."""
    import json
    import shutil

    import numpy as np

    name = "sinusoid_mnet_updates1"
    arrays = dict(np.load(shared / "golden" / f"{name}.npz"))
    arrays["f64/grad/w2_prob"] = arrays["f64/grad/w2_prob"] * (1 + 1e-7)
    np.savez(tmp_path / f"{name}.npz", **arrays)
    shutil.copy(shared / "golden" / "MANIFEST.json", tmp_path)
    assert json.loads((tmp_path / "MANIFEST.json").read_text())[name]
    worst = fidelity.compare(tmp_path / f"{name}.npz", "float64")
    assert worst["grad"][1] == "grad/w2_prob" and worst["grad"][0] > 1e-8
