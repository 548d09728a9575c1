"""The options of `python -m data_prep omniglot | miniimagenet | folder`.

This is the only module of the package that names flags. Library errors name arguments in backticks,
and `as_flags` replaces them.
"""

import argparse
import re
from pathlib import Path

from data_prep.folder import default_packed_dir, prepare_folder
from data_prep.images import RESAMPLINGS
from data_prep.miniimagenet import prepare_miniimagenet, prepare_synthetic_miniimagenet
from data_prep.omniglot import prepare_omniglot, prepare_synthetic_omniglot

# Flags that differ from the name of the argument.
_FLAG_OF = {"sources": "source"}


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser. Its result has the attribute `run`, a function of the result.

    That function prepares the data set and returns the packed folder.
    """
    parser = argparse.ArgumentParser(
        prog="python -m data_prep",
        description="Prepares image data sets for few-shot learning.",
        epilog="To list the options of a data set: python -m data_prep DATASET --help",
    )
    commands = parser.add_subparsers(title="data sets", metavar="DATASET", required=True)
    _add_omniglot(commands)
    _add_miniimagenet(commands)
    _add_folder(commands)
    return parser


def as_flags(message: str, args: argparse.Namespace) -> str:
    """Replaces the arguments that an error message of the library names by flags.

    `` `data_dir` `` becomes `--data_dir`, `` `force=True` `` becomes `--force`, and
    `Received: seed=-1` becomes `Received: --seed=-1`. Names that are not options of the command
    stay as they are.

    >>> args = make_parser().parse_args(["omniglot"])
    >>> as_flags("Choose another `data_dir`, or `force=True`. See `csv_dir`.", args)
    'Choose another --data_dir, or --force. See `csv_dir`.'

    Args:
        message: message of a `DataError`.
        args: result of the parser.
    """
    names = "|".join(vars(args).keys() - {"run", "parser"})

    def flag(found: re.Match[str]) -> str:
        name, value = found.groups(default="")
        return f"--{_FLAG_OF.get(name, name)}{value.removeprefix('=True')}"

    message = re.sub(rf"`({names})(=[^`]*)?`", flag, message)
    return re.sub(rf"(?<=Received: )({names})(=)", flag, message)


def _add_omniglot(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "omniglot",
        help="Omniglot, or procedurally drawn characters",
        description=(
            "Creates DATA_DIR/omniglot_resized (28x28 PNG files in the layout of the original "
            "MAML code) and DATA_DIR/omniglot_packed (one array file) from the official archives "
            "images_background.zip and images_evaluation.zip. Does nothing if the packed folder "
            "exists."
        ),
    )
    parser.add_argument(
        "--source",
        dest="sources",
        nargs="+",
        default=[],
        metavar="PATH",
        help="the archives, the folders unpacked from them, or a folder that contains these "
        "(default: search DATA_DIR, DATA_DIR/omniglot and the current folder, then download)",
    )
    _add_common(parser)
    parser.add_argument(
        "--resampling",
        choices=RESAMPLINGS,
        default="nearest",
        help="nearest: black and white, as in the original code (default); lanczos: grey",
    )
    parser.add_argument(
        "--synthetic",
        action="store_true",
        help="draw characters procedurally and write them to DATA_DIR/omniglot_synthetic_*",
    )
    parser.add_argument(
        "--num_classes", type=int, help="with --synthetic: number of characters (default: 1623)"
    )
    parser.add_argument("--seed", type=int, help="with --synthetic: random seed (default: 0)")
    parser.set_defaults(run=_run_omniglot, parser=parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="folder of the results (default: data)"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="create the results again, replacing those of an earlier run",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=int,
        help="number of images to process in parallel (default: one per core)",
    )


def _add_miniimagenet(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "miniimagenet",
        help="MiniImagenet, or procedurally drawn textures",
        description=(
            "Creates DATA_DIR/miniImagenet/{train,val,test}/<class>/<image>.jpg (84x84 pixels, the "
            "layout of the original MAML code) and DATA_DIR/miniImagenet_packed/{train,val,test} "
            "(one array file each) from the images that train.csv, val.csv and test.csv of Ravi & "
            "Larochelle list. Does nothing if the packed folder exists. To continue an interrupted "
            "run, repeat the command."
        ),
    )
    parser.add_argument(
        "--source",
        dest="sources",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders (with any subfolders), zip or tar archives that contain the images "
        "(default: DATA_DIR/miniImagenet_source)",
    )
    parser.add_argument(
        "--csv_dir",
        type=Path,
        help="folder of the three CSV files (default: search in and next to PATH)",
    )
    _add_common(parser)
    _add_workers(parser)
    parser.add_argument(
        "--allow_missing",
        action="store_true",
        help="continue without images that are missing or unreadable",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the names of all missing, unreadable, extra and duplicate images to a text "
        "file; the terminal shows only a few",
    )
    parser.add_argument(
        "--synthetic",
        action="store_true",
        help="draw textures procedurally and write them to DATA_DIR/miniImagenet_synthetic*",
    )
    parser.add_argument(
        "--num_classes",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        help="with --synthetic: number of classes of each split (default: 64 16 20)",
    )
    parser.add_argument(
        "--per_class", type=int, help="with --synthetic: images of each class (default: 600)"
    )
    parser.add_argument("--seed", type=int, help="with --synthetic: random seed (default: 0)")
    parser.set_defaults(run=_run_miniimagenet, parser=parser)


def _add_folder(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "folder",
        help="your own images, in a folder that contains a folder for each class",
        description=(
            "Packs images of any size and format into one array file per split. They are turned "
            "upright and stretched to the given size. The folder contains either a folder for each "
            "class, or the folders train, val and test (or other usual names, such as Training, "
            "VALID and meta-test), each of which contains class folders. It is never changed. It "
            "is packed again only if its files or the options have changed."
        ),
    )
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="the folder of images"
    )
    parser.add_argument(
        "--image_size",
        type=int,
        required=True,
        help="height and width of the packed images, in pixels",
    )
    colours = parser.add_mutually_exclusive_group()
    colours.add_argument(
        "--grey",
        action="store_true",
        default=None,
        help="pack one channel (the default if all images are grey)",
    )
    colours.add_argument(
        "--colour",
        action="store_false",
        dest="grey",
        help="pack three channels, even if all images are grey",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="random seed of the splits, if DIR does not contain train, val and test (default: 0)",
    )
    parser.add_argument(
        "--packed_dir",
        type=Path,
        default=default_packed_dir(),
        help="folder of the results, outside of DIR (default: %(default)s)",
    )
    parser.add_argument(
        "--force", action="store_true", help="pack again, replacing the earlier result"
    )
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


def _synthetic_options(args: argparse.Namespace, *names: str) -> dict[str, object]:
    """Returns the given options among `names`, which require --synthetic."""
    chosen = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.synthetic and args.sources:
        args.parser.error("--source and --synthetic cannot be combined")
    if chosen and not args.synthetic:
        args.parser.error(f"--{next(iter(chosen))} requires --synthetic")
    return chosen


def _run_omniglot(args: argparse.Namespace) -> Path:
    chosen = _synthetic_options(args, "num_classes", "seed")
    common = {"resampling": args.resampling, "force": args.force}
    if args.synthetic:
        return prepare_synthetic_omniglot(args.data_dir, **chosen, **common)
    return prepare_omniglot(args.data_dir, args.sources, **common)


def _run_miniimagenet(args: argparse.Namespace) -> Path:
    chosen = _synthetic_options(args, "num_classes", "per_class", "seed")
    common = {"force": args.force, "workers": args.workers}
    if args.synthetic:
        return prepare_synthetic_miniimagenet(args.data_dir, **chosen, **common)
    return prepare_miniimagenet(
        args.data_dir,
        args.sources,
        args.csv_dir,
        allow_missing=args.allow_missing,
        report=args.report,
        **common,
    )
