"""Runs a Python program in a process of its own, as one who only has what was saved."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FORBID = "import sys; sys.modules['mtnet_tf'] = sys.modules['data_prep'] = None\n"


def run(program, *arguments, with_package):
    """Runs `program` (source) with arguments; without the package, importing it fails."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program if with_package else _FORBID + program,
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT if with_package else Path(arguments[0]),
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout
