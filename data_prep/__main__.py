"""Command line: `python -m data_prep omniglot`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.drawings import RESAMPLINGS
from data_prep.errors import DataError
from data_prep.omniglot import prepare_omniglot, prepare_synthetic_omniglot
from data_prep.packed import load_packed

_EXIT_BAD_DATA = 2
_EXIT_INTERRUPTED = 130


def _add_omniglot(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "omniglot",
        help="Omniglot, or procedurally drawn characters in its place",
        description=(
            "Makes <data_dir>/omniglot_resized (28x28 PNG files in the layout of the original "
            "MAML code) and <data_dir>/omniglot_packed (one array file) from the official "
            "archives images_background.zip and images_evaluation.zip. What is there already is "
            "not made again."
        ),
    )
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="PATH",
        help="the archives, the folders unpacked from them, or a folder that holds them "
        "(default: look in DATA_DIR, DATA_DIR/omniglot and the current folder, then download)",
    )
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="results go here (default: data)"
    )
    parser.add_argument(
        "--resampling",
        choices=RESAMPLINGS,
        default="nearest",
        help="nearest: black and white, what the original code does in effect (default); "
        "lanczos: grey",
    )
    parser.add_argument(
        "--synthetic",
        action="store_true",
        help="draw characters procedurally, into DATA_DIR/omniglot_synthetic_*; no download",
    )
    parser.add_argument(
        "--num_classes", type=int, help="with --synthetic: number of characters (default: 1623)"
    )
    parser.add_argument("--seed", type=int, help="with --synthetic: seed (default: 0)")
    parser.add_argument(
        "--force", action="store_true", help="make it again, replacing what data_prep made before"
    )
    parser.set_defaults(run=_run_omniglot, parser=parser)


def _run_omniglot(args: argparse.Namespace) -> Path:
    chosen = {"num_classes": args.num_classes, "seed": args.seed}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    if args.synthetic and args.source:
        args.parser.error("--source and --synthetic exclude each other")
    if chosen and not args.synthetic:
        args.parser.error(f"--{next(iter(chosen))} needs --synthetic")
    common = {"resampling": args.resampling, "force": args.force}
    if args.synthetic:
        return prepare_synthetic_omniglot(args.data_dir, **chosen, **common)
    return prepare_omniglot(args.data_dir, args.source, **common)


def _summary(folder: Path) -> str:
    packed = load_packed(folder)
    lines = [
        f"{folder}: {len(packed.class_names):,} classes, {len(packed.images):,} pictures of "
        f"shape {packed.images.shape[1:]}."
    ]
    for first, second in packed.details.get("duplicates", []):
        lines.append(f"Note: {second} has the same pixels as {first}. Both are kept.")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status.

    Args:
        argv: arguments without the program's name; those of the process by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m data_prep", description="Prepares picture data sets for MT-nets."
    )
    _add_omniglot(parser.add_subparsers(title="data sets", metavar="DATASET", required=True))
    args = parser.parse_args(argv)
    try:
        sys.stdout.write(_summary(args.run(args)))
    except DataError as error:
        sys.stderr.write(f"data_prep: {error}\n")
        return _EXIT_BAD_DATA
    except KeyboardInterrupt:
        sys.stderr.write("data_prep: interrupted; nothing half-made is left behind.\n")
        return _EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
