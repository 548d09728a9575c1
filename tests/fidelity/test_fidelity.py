"""This package agrees with the authors' TF1 code on every reference file.

The files are the full set in $MTNET_SHARED/golden if there is one, else the set in the repository.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from fidelity import compare as fidelity
from fidelity.make_reference import make_reference
from fidelity.reference_file import ReferenceFile

FILES = fidelity.default_files()
FULL = FILES[0].parent != fidelity.REFERENCE
# Compiling takes minutes for a large case, so the default tests compile a small one.
COMPILED = (
    ("sinusoid_mtnet_updates5", "omniglot_mtnet_updates1") if FULL else ("sinusoid_mtnet_updates1",)
)
SMALL = "sinusoid_mnet_updates1"
STORED = dict(np.load(fidelity.REFERENCE / f"{SMALL}.npz"))


def _assert_within_tolerance(path, dtype, jit):
    worst = fidelity.compare(path, dtype, jit)
    for error, name in worst.values():
        assert error <= fidelity.tolerance_of(name, dtype), name
    return worst


@pytest.mark.parametrize("dtype", fidelity.TOLERANCE)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_agrees_with_the_authors_code(path, dtype):
    worst = _assert_within_tolerance(path, dtype, jit=path.stem in COMPILED)
    if dtype == "float64":
        assert {"losses", "outputs", "fast", "grad", "adam1"} <= set(worst)
    else:
        assert {"losses", "outputs", "fast"} <= set(worst)


def test_the_repository_has_the_cases_that_the_readme_promises():
    names = [path.stem for path in sorted(fidelity.REFERENCE.glob("*.npz"))]
    assert len([n for n in names if n.startswith("sinusoid")]) == 10
    for part in ("omniglot", "miniimagenet", "layernorm"):
        assert any(part in name for name in names), part
    assert sum(path.stat().st_size for path in fidelity.REFERENCE.iterdir()) < 3 * 2**20


def test_the_set_in_the_repository_is_an_exact_part_of_the_full_set(tmp_path):
    # Without MTNET_SHARED: the script does not change the set that it has made.
    make_reference(FILES[0].parent, tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert sorted([*made, "README.md"]) == sorted(p.name for p in fidelity.REFERENCE.iterdir())
    committed = (fidelity.REFERENCE / "MANIFEST.json").read_text()
    assert (tmp_path / "MANIFEST.json").read_text() == committed
    for path in sorted(fidelity.REFERENCE.glob("*.npz")):
        ours, made_now = ReferenceFile.read(path), ReferenceFile.read(tmp_path / path.name)
        full = ReferenceFile.read(FILES[0].parent / path.name)
        assert ours.arrays.keys() == made_now.arrays.keys()
        for key, array in ours.arrays.items():
            assert array.dtype == full.arrays[key].dtype
            assert array.tobytes() == full.arrays[key].tobytes(), key
        assert ours.flags == full.flags
        assert sorted(ours.judged("float64")) == sorted(full.judged("float64"))
        in_float32 = [n for n in full.judged("float32") if not n.startswith("adam2")]
        assert sorted(ours.judged("float32")) == sorted(in_float32)


def test_the_script_writes_the_same_bytes_on_each_run(tmp_path):
    for run in ("first", "second"):
        make_reference(FILES[0].parent, tmp_path / run)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


@pytest.fixture
def changed_copy(tmp_path):
    """Function: writes a small reference file with some arrays, flags or entries changed."""

    def write(flags=(), entry=(), **changes):
        arrays = dict(STORED)
        for key, change in changes.items():
            arrays[key.replace("__", "/")] = change(arrays.get(key.replace("__", "/")))
        np.savez(tmp_path / f"{SMALL}.npz", **{k: v for k, v in arrays.items() if v is not None})
        described = json.loads((fidelity.REFERENCE / "MANIFEST.json").read_text())[SMALL]
        described |= dict(entry)
        described["flags"] |= dict(flags)
        described = {key: value for key, value in described.items() if value is not None}
        (tmp_path / "MANIFEST.json").write_text(json.dumps({SMALL: described}))
        return str(tmp_path / f"{SMALL}.npz")

    return write


@pytest.mark.parametrize("wrong", [1 + 1e-7, np.nan])
def test_the_comparison_notices_a_wrong_number(changed_copy, wrong, capsys):
    path = changed_copy(f64__grad__w2_prob=lambda array: array * wrong)
    assert fidelity.main([path]) == 1
    printed = capsys.readouterr().out
    assert "above tolerance: grad/w2_prob" in printed
    assert printed.splitlines()[-1].startswith("0 of 1 file agrees")


def test_right_numbers_are_exit_status_0(changed_copy, capsys):
    assert fidelity.main([changed_copy()]) == 0
    closing = capsys.readouterr().out.splitlines()[-1]
    assert closing == "1 file agrees with the authors' code to 1e-8 in float64 and 1e-4 in float32"


def test_jit_is_an_option_of_the_command(changed_copy, monkeypatch):
    received = []
    monkeypatch.setattr(
        fidelity, "compute", lambda *arguments: received.append(arguments[-1]) or {}
    )
    assert fidelity.main(["--jit", changed_copy()]) == 1
    assert received == [True, True]


def test_what_cannot_be_compared_fails_in_one_line(changed_copy, tmp_path, capsys):
    path = changed_copy(f64__novel=lambda array: np.ones(3))
    assert fidelity.main([path, str(tmp_path / "none.npz")]) == 1
    printed = capsys.readouterr().out
    assert "an array that this script does not know: f64/novel" in printed
    assert "none.npz" in printed and "Traceback" not in printed


def test_a_file_without_float32_values_is_float64_only(changed_copy, capsys):
    path = changed_copy(entry={"not_in_float32": None})
    assert fidelity.main([path]) == 0
    printed = capsys.readouterr().out
    assert f"{SMALL:36}float32  float64 only" in printed
    assert "FAILED" not in printed
    assert printed.splitlines()[-1].endswith("1e-4 in float32 (1 in float64 only)")


def test_several_inner_steps_with_max_pooling_are_float64_only(changed_copy):
    path = changed_copy(flags={"max_pool": True, "num_updates": 5})
    assert fidelity.compare(path, "float32") == {}


def test_one_inner_step_with_max_pooling_leaves_out_gradients_in_float32(changed_copy):
    path = changed_copy(flags={"max_pool": True})
    assert set(fidelity.compare(path, "float32")) == {"losses", "outputs", "fast"}


def test_float32_is_not_judged_where_its_reference_is_far_from_float64(changed_copy):
    path = changed_copy(
        entry={"not_in_float32": None},
        f32__grad__w1=lambda _: STORED["f64/grad/w1"].astype(np.float32),
        f32__grad__w2=lambda _: STORED["f64/grad/w2"].astype(np.float32) * 1.001,
        f32__grad__w3=lambda _: STORED["f64/grad/w3"].astype(np.float32) * np.nan,
    )
    judged = ReferenceFile.read(path).judged("float32")
    assert "grad/w1" in judged
    assert "grad/w2" not in judged and "grad/w3" not in judged


def test_a_file_without_float64_values_cannot_be_compared(changed_copy):
    names = [n.replace("/", "__") for n in STORED if n.startswith("f64/")]
    path = changed_copy(**{name: lambda array: None for name in names})
    with pytest.raises(ValueError, match="must contain float64 values"):
        fidelity.compare(path, "float64")


def test_without_arguments_the_full_set_comes_first(monkeypatch, tmp_path):
    monkeypatch.delenv("MTNET_SHARED", raising=False)
    in_the_repository = sorted(fidelity.REFERENCE.glob("*.npz"))
    assert fidelity.default_files() == in_the_repository
    monkeypatch.setenv("MTNET_SHARED", str(tmp_path))
    assert fidelity.default_files() == in_the_repository  # a folder with data sets only
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "sinusoid.npz").touch()
    assert fidelity.default_files() == [tmp_path / "golden" / "sinusoid.npz"]
    assert all(isinstance(path, Path) for path in fidelity.default_files())


def test_help_prints_the_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        fidelity.main(["--help"])
    assert stopped.value.code == 0
    assert "usage: python -m tests.fidelity" in capsys.readouterr().out
