"""The one way to write a file: to a partial file next to it, which is then renamed."""

import csv
import json
import os
from pathlib import Path


def write_text(path, text):
    """Writes a file beside and renames it."""
    partial = Path(f"{path}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(path, value):
    """Writes JSON beside and renames it."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path):
    """Reads JSON.

    Raises:
      ValueError: if the file is none.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON ({error}). Restore or delete it.") from error


def write_csv(path, rows):
    """Writes rows (lists) beside and renames the file."""
    partial = Path(f"{path}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    os.replace(partial, path)
