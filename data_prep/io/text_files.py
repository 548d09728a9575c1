"""Reading and writing small files. A file is written completely or not at all.

A name of a file may contain bytes that are not UTF-8. In text and CSV files they become escape
sequences; in JSON files they are kept.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_prep.io.atomic import replacing

_ESCAPED = "backslashreplace"


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors=_ESCAPED)


def write_json(path: str | Path, value: Any) -> None:
    """Writes a JSON file."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Raises:
        ValueError: if the file is not valid JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON ({error}). Restore or delete it.") from error


def write_csv(path: str | Path, rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file."""
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors=_ESCAPED) as file,
    ):
        csv.writer(file).writerows(rows)
