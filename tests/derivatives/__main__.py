"""Measures all rows and writes the page: `python -m tests.derivatives [--only TEXT] [--page]`."""

import argparse
import os
import sys

# Hides most of the messages of TensorFlow's C++ code, which reads it when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from data_prep.io import write_text  # noqa: E402

from .measure import measure  # noqa: E402
from .report import PAGE, ROWS, page, store  # noqa: E402


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.derivatives", description=__doc__)
    parser.add_argument("--only", default="", help="measure the rows that contain this text")
    parser.add_argument("--page", action="store_true", help="write the page, measure nothing")
    arguments = parser.parse_args()
    if arguments.page:
        write_text(PAGE, page())
        return
    found = {}
    for label, row in ROWS.items():
        if arguments.only in label:
            found[label] = measure(row)
            sys.stdout.write(f"{label}: {', '.join(m.verdict for m in found[label].values())}\n")
            sys.stdout.flush()
    store(found)


main()
