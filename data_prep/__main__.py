"""Command line: `python -m data_prep omniglot | miniimagenet | folder`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.cli import as_flags, make_parser
from data_prep.errors import DataError
from data_prep.io import make_output_readable, printable
from data_prep.packed import SPLITS, is_packed, listed, load_packed

_EXIT_BAD_DATA = 2
_EXIT_INTERRUPTED = 130
_MANY = 5  # number of duplicates to name


def _summary(folder: Path) -> str:
    """Returns one line for each split of a packed folder, and a note of duplicates."""
    parts = [folder] if is_packed(folder) else [folder / split for split in SPLITS]
    loaded = {part: load_packed(part) for part in parts}
    lines = [
        f"{part}: {len(packed.class_names):,} classes, {len(packed.images):,} images of "
        f"shape {packed.images.shape[1:]}."
        for part, packed in loaded.items()
    ]
    duplicates = loaded[parts[-1]].details.get("duplicates", [])
    if pairs := [f"{second} = {first}" for first, second in duplicates]:
        lines.append(f"Note: images with the same pixels, all kept: {listed(pairs, _MANY)}.")
    return "".join(f"{printable(line)}\n" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: arguments without the program's name; by default those of the process.

    Returns:
        The exit status: 0, 2 after an error, or 130 after an interruption.
    """
    make_output_readable()
    args = make_parser().parse_args(argv)
    try:
        sys.stdout.write(_summary(args.run(args)))
    except DataError as error:
        sys.stderr.write(f"data_prep: {as_flags(str(error), args)}\n")
        return _EXIT_BAD_DATA
    except KeyboardInterrupt:
        sys.stderr.write(
            "data_prep: interrupted. No incomplete files remain; repeat the command to continue.\n"
        )
        return _EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
