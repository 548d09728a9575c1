"""The programs of docs/upstream still show the faults. If one fails, a fault has been fixed."""

import runpy
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "upstream"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_shows_its_fault(program, capsys):
    path = FOLDER / f"{program}.py"
    found = runpy.run_path(str(path))
    expected, actual = found["expected"], found["actual"]
    if isinstance(expected, str | dict):
        assert actual != expected
    else:
        assert np.max(np.abs(np.subtract(actual, expected))) > 0.1
    if "eager" in found:  # only the compiled result is wrong
        np.testing.assert_allclose(found["eager"], expected, rtol=1e-5)
    assert "expected" in capsys.readouterr().out
    assert len(path.read_text().splitlines()) <= 30


def test_the_page_describes_every_program():
    text = (FOLDER / "README.md").read_text()
    assert all(f"({program}.py)" in text for program in PROGRAMS)
    assert len(PROGRAMS) == text.count("\nProgram: ") == text.count("\n### ")
