"""Command line of the comparison, see `python -m tests.fidelity --help`."""

import os
import sys

# Must be set before TensorFlow is imported: hides its startup messages.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from .compare import main  # noqa: E402

sys.exit(main())
