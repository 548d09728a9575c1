"""Reads the three CSV files of Ravi & Larochelle, which define MiniImagenet."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from data_prep.errors import DataError
from data_prep.packed import SPLITS, check_disjoint, name_splits, split_word

HOME_PAGE = "https://github.com/twitter-research/meta-learning-lstm"
_FRESH_COPY = f"Fetch a fresh copy from {HOME_PAGE}."
# File systems allow 255 bytes, and the hidden name of a folder that is being built is longer.
_MAX_NAME_BYTES = 200
_HEADER = ["filename", "label"]
_COLUMNS = "must have the columns filename,label"

# Sorted file names of the images of the data set, by class, by split.
Wanted = Mapping[str, Mapping[str, list[str]]]


def read_lists(folder: Path) -> Wanted:
    """Reads train.csv, val.csv and test.csv (columns `filename,label`).

    Other usual names of splits are accepted, such as Train.csv or validation.CSV.

    Args:
        folder: contains the files.

    Returns:
        Sorted file names by class, by split.

    Raises:
        DataError: if a file is missing or malformed, or names an image twice or a class in two
            splits.
    """
    wanted = {split: _read_list(find_list(folder, split)) for split in SPLITS}
    check_disjoint(wanted, f"the CSV files in `{folder}`")
    classes: dict[str, str] = {}
    for _, class_name, file_name in each(wanted):
        other = classes.setdefault(Path(file_name).stem, class_name)
        if other != class_name:
            raise DataError(
                f"`{file_name}` must belong to one class, but the CSV files in `{folder}` list it "
                f"under {other} and {class_name}. {_FRESH_COPY}"
            )
    return wanted


def find_list(folder: Path, split: str) -> Path:
    """Returns the path of the CSV file of a split: its usual one, if there is none."""
    usual = folder / f"{split}.csv"
    if usual.exists() or not folder.is_dir():
        return usual
    files = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() == ".csv"}
    found = name_splits(stem for stem in files if split_word(stem)).by_split[split]
    return files[found[0]] if len(found) == 1 else usual


def each(wanted: Wanted) -> Iterator[tuple[str, str, str]]:
    """Yields (split, class, file name) of every image, in order."""
    for split, classes in wanted.items():
        for class_name, file_names in classes.items():
            for file_name in file_names:
                yield split, class_name, file_name


def _read_list(path: Path) -> dict[str, list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"`{path}` is missing: train.csv, val.csv and test.csv of {HOME_PAGE} (folder "
            "data/miniImagenet) define MiniImagenet. Put them there, or name their folder with "
            "`python -m data_prep miniimagenet` and `csv_dir`."
        ) from None
    except IsADirectoryError as error:
        raise _malformed(path, "must be a text file", "a folder") from error
    except UnicodeDecodeError as error:
        raise _malformed(path, "must be UTF-8 text", str(error)) from error
    rows = csv.reader(io.StringIO(text), strict=True)
    classes: dict[str, list[str]] = {}
    try:
        header = next(rows, [])
        if [cell.strip().lower() for cell in header] != _HEADER:
            raise _malformed(path, _COLUMNS, ",".join(header)[:80] or "an empty file")
        for row in filter(None, rows):
            file_name, label = _check_row(path, rows.line_num, row)
            classes.setdefault(label, []).append(file_name)
    except csv.Error as error:
        raise _malformed(path, _COLUMNS, f"line {rows.line_num}: {error}") from error
    if not classes:
        raise _malformed(path, "must list images", "only a header")
    return {label: _distinct(path, names) for label, names in sorted(classes.items())}


def _check_row(path: Path, line: int, row: list[str]) -> tuple[str, str]:
    cells = [cell.strip() for cell in row]
    if len(cells) != 2 or not all(cells):
        raise _malformed(path, _COLUMNS, f"line {line}: {','.join(row)[:80]!r}")
    for cell in cells:
        # They will be names of files and folders.
        long = len(cell.encode("utf-8", "replace")) > _MAX_NAME_BYTES
        if long or cell.startswith(".") or set(cell) & set("/\\:\0\n\r"):
            raise _malformed(path, "must contain plain file names", f"line {line}: {cell[:80]!r}")
    return cells[0], cells[1]


def _distinct(path: Path, names: list[str]) -> list[str]:
    stems = sorted(Path(name).stem for name in names)
    for first, second in zip(stems, stems[1:], strict=False):
        if first == second:
            raise _malformed(path, "must list each image once", f"{first} twice")
    return sorted(names)


def _malformed(path: Path, expected: str, received: str) -> DataError:
    return DataError(f"`{path}` {expected}. Received: {received}. {_FRESH_COPY}")
