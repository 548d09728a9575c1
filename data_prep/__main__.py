"""Command line: `python -m data_prep omniglot | miniimagenet | folder`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.drawings import RESAMPLINGS
from data_prep.errors import DataError
from data_prep.miniimagenet import prepare_miniimagenet, prepare_synthetic_miniimagenet
from data_prep.omniglot import prepare_omniglot, prepare_synthetic_omniglot
from data_prep.packed import is_packed, load_packed
from data_prep.splits import SPLITS, listed

_EXIT_BAD_DATA = 2
_EXIT_INTERRUPTED = 130
_MANY = 5  # duplicates that are named


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
    _add_common(parser)
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
    parser.set_defaults(run=_run_omniglot, parser=parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="results go here (default: data)"
    )
    parser.add_argument(
        "--force", action="store_true", help="make it again, replacing what data_prep made before"
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=int, help="pictures to work on at once (default: one per core)"
    )


def _add_miniimagenet(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "miniimagenet",
        help="MiniImagenet, or procedurally drawn textures in its place",
        description=(
            "Makes <data_dir>/miniImagenet/{train,val,test}/<class>/<picture>.jpg (84x84, the "
            "layout of the original MAML code) and <data_dir>/miniImagenet_packed/{train,val,"
            "test} (one array file each) from the pictures that train.csv, val.csv and test.csv "
            "of Ravi & Larochelle name. What is there already is not made again; an interrupted "
            "run goes on where it was."
        ),
    )
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders, zip or tar archives of the pictures, in any subfolders "
        "(default: DATA_DIR/miniImagenet_source)",
    )
    parser.add_argument(
        "--csv_dir", type=Path, help="folder of the three CSV files (default: in or beside PATH)"
    )
    _add_common(parser)
    _add_workers(parser)
    parser.add_argument(
        "--allow_missing", action="store_true", help="go on without missing or unreadable pictures"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write all names that are only counted on screen",
    )
    parser.add_argument(
        "--synthetic",
        action="store_true",
        help="draw textures procedurally, into DATA_DIR/miniImagenet_synthetic*",
    )
    parser.add_argument(
        "--num_classes",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        help="with --synthetic: number of classes (default: 64 16 20)",
    )
    parser.add_argument(
        "--per_class", type=int, help="with --synthetic: pictures of each class (default: 600)"
    )
    parser.add_argument("--seed", type=int, help="with --synthetic: seed (default: 0)")
    parser.set_defaults(run=_run_miniimagenet, parser=parser)


def _chosen(args: argparse.Namespace, *names: str) -> dict[str, object]:
    """Returns the options that were given; refuses those of --synthetic without it."""
    chosen = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.synthetic and args.source:
        args.parser.error("--source and --synthetic exclude each other")
    if chosen and not args.synthetic:
        args.parser.error(f"--{next(iter(chosen))} needs --synthetic")
    return chosen


def _run_omniglot(args: argparse.Namespace) -> Path:
    chosen = _chosen(args, "num_classes", "seed")
    common = {"resampling": args.resampling, "force": args.force}
    if args.synthetic:
        return prepare_synthetic_omniglot(args.data_dir, **chosen, **common)
    return prepare_omniglot(args.data_dir, args.source, **common)


def _run_miniimagenet(args: argparse.Namespace) -> Path:
    chosen = _chosen(args, "num_classes", "per_class", "seed")
    common = {"force": args.force, "workers": args.workers}
    if args.synthetic:
        return prepare_synthetic_miniimagenet(args.data_dir, **chosen, **common)
    return prepare_miniimagenet(
        args.data_dir,
        args.source,
        args.csv_dir,
        allow_missing=args.allow_missing,
        report=args.report,
        **common,
    )


def _summary(folder: Path) -> str:
    parts = [folder] if is_packed(folder) else [folder / split for split in SPLITS]
    lines = []
    for part in parts:
        packed = load_packed(part)
        lines.append(
            f"{part}: {len(packed.class_names):,} classes, {len(packed.images):,} pictures of "
            f"shape {packed.images.shape[1:]}."
        )
    if pairs := [f"{second} = {first}" for first, second in packed.details.get("duplicates", [])]:
        lines.append(f"Note: pictures with the same pixels, all kept: {listed(pairs, _MANY)}.")
    text = "\n".join(lines) + "\n"
    return text.encode("utf-8", "backslashreplace").decode()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status.

    Args:
        argv: arguments without the program's name; those of the process by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m data_prep", description="Prepares picture data sets for MT-nets."
    )
    commands = parser.add_subparsers(title="data sets", metavar="DATASET", required=True)
    _add_omniglot(commands)
    _add_miniimagenet(commands)
    args = parser.parse_args(argv)
    try:
        sys.stdout.write(_summary(args.run(args)))
    except DataError as error:
        sys.stderr.write(f"data_prep: {error}\n")
        return _EXIT_BAD_DATA
    except KeyboardInterrupt:
        sys.stderr.write(
            "data_prep: interrupted; nothing half-made is left in place, and the same command "
            "goes on.\n"
        )
        return _EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
