"""Command line: `python -m maml_baselines table1 | table3`, with most flags of `main.py`."""

import argparse
import shlex
import sys
from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.io import keep_freed_memory, make_output_readable, user_path
from maml_baselines.methods import METHODS
from maml_baselines.tables import LACKING_FLAGS, methods_of, settings_of, write_table
from mtnet_tf.experiments import (
    DATA_SOURCES,
    FLAG_OF,
    FLAGS,
    Settings,
    default_of,
    exit_status,
    fields_of,
    help_of,
    load_compiled_programs,
    say,
    start_compilation_cache,
    task_name,
)

# Settings that the name of a table contains already, or does not need.
_UNNAMED = ("data_source", "num_ways", "num_shots", "polynomial_order", "synthetic", "data_dir")
_UNNAMED += ("image_size", "packed_dir", "runs_dir", "write_summaries", "run_eagerly")
_UNNAMED += ("jit_compile", "resume", "num_meta_iterations", "validation_interval")
_DATA = {"table1": "sinusoid", "table3": "omniglot"}


def make_parser() -> argparse.ArgumentParser:
    """The parser: the table, the methods, and the settings of all rows."""
    parser = argparse.ArgumentParser(
        prog="python -m maml_baselines",
        description="Trains and evaluates every method of a table of the paper, and compares the "
        "methods on the same episodes. You can interrupt it at any time: the same command resumes. "
        "Flags given here apply to all rows. A method's published settings replace the defaults "
        "below. Without --num_test_updates, each row is evaluated after the number of inner steps "
        "in the method's own paper, or else in the MT-net paper.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "table", choices=_DATA, help="table1: regression of sinusoids; table3: images"
    )
    parser.add_argument(
        "--methods",
        help=f"comma-separated names from {', '.join(METHODS)}; default: all that can learn from "
        "the data source",
    )
    parser.add_argument(
        "--table_file", help="file of the table; default: a name with the settings, in --logdir"
    )
    places = ", ".join(f"{source} for {table}" for table, source in _DATA.items())
    parser.add_argument("--datasource", help=f"one of {', '.join(DATA_SOURCES)}; default: {places}")
    for name in FLAGS:
        if name not in (*LACKING_FLAGS, "datasource"):
            _add_flag(parser, name)
    _add_flag(parser, "compilation_cache")
    return parser


def _add_flag(parser: argparse.ArgumentParser, name: str) -> None:
    default, text = default_of(name), help_of(name).replace("%", "%%")
    if isinstance(default, bool):
        parser.add_argument(f"--{name}", type=_boolean, nargs="?", const=True, help=text)
        negative = f"--no{name}"  # as on the command line of `main.py`
        parser.add_argument(negative, dest=name, action="store_false", default=None, help=SUPPRESS)
    else:
        parser.add_argument(f"--{name}", type=str if default is None else type(default), help=text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be True or False. Received: {text}.")
    return text.lower() == "true"


def _table_path(table: str, table_file: str | None, given: Mapping[str, Any], method: str) -> Path:
    """Path of the table without its suffix."""
    if table_file is None:
        usual = settings_of({n: v for n, v in given.items() if n in _UNNAMED}, method)
        return user_path(usual.runs_dir) / _file_stem(table, given, usual)
    path = user_path(table_file)
    return path.with_suffix("") if path.suffix in (".csv", ".json", ".md", ".png") else path


def _file_stem(table: str, given: Mapping[str, Any], usual: Settings) -> str:
    """A name that contains the tasks, and the settings that are unusual in all rows."""
    values = usual.as_dict()
    unusual = [n for n, v in given.items() if n not in _UNNAMED and v != values[n]]
    named = [f"{FLAG_OF[n]}{given[n]}" for n in unusual]
    return "_".join([table, task_name(usual, usual.num_shots), *named])


def run_command(arguments: Sequence[str]) -> int:
    """Makes the table.

    Args:
        arguments: of the command line, without the program's name.

    Returns:
        The exit status: 0, or 1 if a row failed.

    Raises:
        ValueError: if the settings are not allowed.
    """
    options = {k: v for k, v in vars(make_parser().parse_args(arguments)).items() if v is not None}
    table, methods = options.pop("table"), options.pop("methods", None)
    table_file = options.pop("table_file", None)
    start_compilation_cache(options.pop("compilation_cache", None))
    given = {"data_source": _DATA[table], **fields_of(options)}
    names = methods.split(",") if methods else methods_of(given)
    path = _table_path(table, table_file, given, names[0])
    load_compiled_programs(settings_of(given, names[0]))
    command = shlex.join(["python", "-m", "maml_baselines", *arguments])
    rows = write_table(given, names, path, say, command)
    say(f"Written to {path}.md")
    return 0 if all(row.run for row in rows) else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: arguments without the program's name; None for those of the process.

    Returns:
        The exit status: 0, 1 if a row failed, 2 for invalid input, 130 after an interruption.
    """
    make_output_readable()
    arguments = sys.argv[1:] if argv is None else argv
    return exit_status(
        "maml_baselines", lambda: run_command(arguments), ("methods", "table_file"), LACKING_FLAGS
    )


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
