import io
import os
import subprocess
import sys

import pytest

from data_prep.io import make_output_readable

TEXT = "64.2 ± 0.3 … → ✓ ━ é 中 \udcff \ud800"
ASCII = r"64.2 +/- 0.3 ... -> ok = \xe9 \u4e2d \udcff \ud800"
PROGRAM = f"""
from data_prep.io import make_output_readable
import sys
make_output_readable()
for stream in (sys.stdout, sys.stderr):
    stream.write({ascii(TEXT)})
"""
ASCII_TERMINALS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("settings", ASCII_TERMINALS)
def test_every_text_can_be_printed_on_an_ascii_terminal(settings):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONUTF8", "LC_ALL")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, env={**environment, **settings}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("ascii") == done.stderr.decode("ascii") == ASCII


def test_characters_that_the_terminal_has_are_unchanged(monkeypatch):
    for encoding, expected in (
        ("utf-8", TEXT.replace("\udcff", r"\udcff").replace("\ud800", r"\ud800")),
        ("latin-1", r"64.2 ± 0.3 ... -> ok = é \u4e2d \udcff \ud800"),
    ):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
        make_output_readable()
        sys.stdout.write(TEXT)
        sys.stdout.flush()
        assert raw.getvalue().decode(encoding) == expected


def test_a_stream_of_another_kind_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    make_output_readable()
