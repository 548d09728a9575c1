"""The options of `python -m data_prep omniglot | miniimagenet | folder`."""

import argparse
import re
from pathlib import Path

from data_prep.folder import default_packed_dir, prepare_folder
from data_prep.images import RESAMPLINGS
from data_prep.miniimagenet import prepare_miniimagenet, prepare_synthetic_miniimagenet
from data_prep.omniglot import prepare_omniglot, prepare_synthetic_omniglot


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser; what it parses has `run`, which prepares and returns the folder."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep", description="Prepares image data sets for MT-nets."
    )
    commands = parser.add_subparsers(title="data sets", metavar="DATASET", required=True)
    _add_omniglot(commands)
    _add_miniimagenet(commands)
    _add_folder(commands)
    return parser


def as_flags(message: str, args: argparse.Namespace) -> str:
    """A message of the library, with flags in place of the arguments that it names in backticks.

    `` `data_dir` `` becomes `--data_dir`, and `` `force=True` `` becomes `--force`. Names that
    are no options of the command stay as they are.

    Args:
        message: message of a `DataError`.
        args: what `make_parser` has parsed.
    """
    names = "|".join(vars(args).keys() - {"run", "parser"})
    flag = re.compile(rf"`({names})(=[^`]*)?`")
    return flag.sub(lambda m: f"--{m[1]}{(m[2] or '').removeprefix('=True')}", message)


def _add_omniglot(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "omniglot",
        help="Omniglot, or procedurally drawn characters in its place",
        description=(
            "Makes <data_dir>/omniglot_resized (28x28 PNG files in the layout of the original "
            "MAML code) and <data_dir>/omniglot_packed (one array file) from the official "
            "archives images_background.zip and images_evaluation.zip. Existing results are "
            "not made again."
        ),
    )
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="PATH",
        help="the archives, the folders unpacked from them, or a folder that contains them "
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
        "--force", action="store_true", help="make it again, replacing earlier results of data_prep"
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=int, help="images to work on at once (default: one per core)"
    )


def _add_miniimagenet(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "miniimagenet",
        help="MiniImagenet, or procedurally drawn textures in its place",
        description=(
            "Makes <data_dir>/miniImagenet/{train,val,test}/<class>/<image>.jpg (84x84, the "
            "layout of the original MAML code) and <data_dir>/miniImagenet_packed/{train,val,"
            "test} (one array file each) from the images that train.csv, val.csv and test.csv "
            "of Ravi & Larochelle name. Existing results are not made again; an interrupted "
            "run can be resumed."
        ),
    )
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders, zip or tar archives of the images, in any subfolders "
        "(default: DATA_DIR/miniImagenet_source)",
    )
    parser.add_argument(
        "--csv_dir", type=Path, help="folder of the three CSV files (default: in or next to PATH)"
    )
    _add_common(parser)
    _add_workers(parser)
    parser.add_argument(
        "--allow_missing", action="store_true", help="continue without missing or unreadable images"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write all names that are only counted on the screen",
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
        "--per_class", type=int, help="with --synthetic: images of each class (default: 600)"
    )
    parser.add_argument("--seed", type=int, help="with --synthetic: seed (default: 0)")
    parser.set_defaults(run=_run_miniimagenet, parser=parser)


def _add_folder(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "folder",
        help="your own images: a folder of class folders, or of train, val and test folders",
        description=(
            "Packs images of any size and kind, turned upright and stretched to the size, into "
            "one array file per split. SOURCE is only read. It is packed again when its files or "
            "the options change."
        ),
    )
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="the folder")
    parser.add_argument(
        "--image_size", type=int, required=True, help="height and width of the packed images"
    )
    colours = parser.add_mutually_exclusive_group()
    colours.add_argument(
        "--grey",
        action="store_true",
        default=None,
        help="one channel (default: if all images are grey)",
    )
    colours.add_argument(
        "--colour", action="store_false", dest="grey", help="three channels, even if all are grey"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="decides the split if SOURCE does not (default: 0)"
    )
    parser.add_argument(
        "--packed_dir",
        type=Path,
        default=default_packed_dir(),
        help="results go here, outside of SOURCE (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="pack it again")
    _add_workers(parser)
    parser.set_defaults(run=_run_folder, parser=parser)


def _run_folder(args: argparse.Namespace) -> Path:
    return prepare_folder(
        args.source,
        args.packed_dir,
        args.image_size,
        args.grey,
        seed=args.seed,
        force=args.force,
        workers=args.workers,
    )


def _chosen(args: argparse.Namespace, *names: str) -> dict[str, object]:
    """The options that were given; those for --synthetic require it."""
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
