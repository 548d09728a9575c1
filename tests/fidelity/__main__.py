"""Command line of the comparison, see `python -m tests.fidelity --help`."""

import os
import sys

# Hides most of the messages of TensorFlow's C++ code, which reads it when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from .compare import main  # noqa: E402

sys.exit(main())
