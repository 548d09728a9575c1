"""Command line: `python -m tests.fidelity [--jit] FILE.npz ...`."""

import sys

from .compare import main

sys.exit(main(sys.argv[1:]))
