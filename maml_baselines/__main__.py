"""Command line: `python -m maml_baselines table1 | table3`, with any setting of `main.py`."""

import argparse
import os
import shlex
import sys
from pathlib import Path

# TensorFlow's C++ side greets every process with notes on devices it doesn't find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from maml_baselines.methods import METHODS
from maml_baselines.tables import methods_of, settings_of, write_table
from mtnet_tf.experiments import (
    DATA_SOURCES,
    FLAG_OF,
    FLAGS,
    default_of,
    exit_status,
    fields_of,
    help_of,
    say,
    task_name,
)

# Flags that tell systems apart, or have another default here.
_NOT_FOR_ALL = ("method", "baseline", "use_T", "use_M", "share_M", "stop_grad", "run", "train")
_NOT_FOR_ALL += ("datasource", "train_update_lr", "train_update_batch_size")
# Settings that a table's name contains already, or does not need.
_UNNAMED = ("data_source", "num_ways", "num_shots", "polynomial_order", "synthetic", "data_dir")
_UNNAMED += ("image_size", "packed_dir", "runs_dir", "write_summaries", "run_eagerly")
_UNNAMED += ("jit_compile", "resume", "num_meta_iterations", "validation_interval")
_DATA = {"table1": "sinusoid", "table3": "omniglot"}


def make_parser():
    """The parser: a table, the systems, and the settings of all rows."""
    parser = argparse.ArgumentParser(
        prog="python -m maml_baselines",
        description="Trains and evaluates every system of a table of the paper, and compares them "
        "on the same episodes. Interrupt it whenever you like: the same command goes on. A "
        "system's own published settings go before the defaults below, and yours before both; "
        "without --num_test_updates, a row is evaluated after the steps of its own paper, or of "
        "the MT-net paper.",
        allow_abbrev=False,
    )
    parser.add_argument("table", choices=_DATA, help="table1: sinusoids; table3: pictures")
    names = f"names with commas between, of {', '.join(METHODS)}; default: all that fit"
    parser.add_argument("--methods", help=names)
    parser.add_argument("--table_file", help="default: a name in --logdir")
    places = ", ".join(f"{source} for {table}" for table, source in _DATA.items())
    parser.add_argument("--datasource", help=f"one of {', '.join(DATA_SOURCES)}; default: {places}")
    for name in FLAGS:
        if name not in _NOT_FOR_ALL:
            default = default_of(name)
            kind = {"type": str if default is None else type(default)}
            if isinstance(default, bool):
                kind = {"type": _boolean, "nargs": "?", "const": True}
            text = help_of(name).replace("%", "%%")
            parser.add_argument(f"--{name}", **kind, help=text)
    return parser


def _boolean(text):
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be True or False. Received: {text}.")
    return text.lower() == "true"


def _file_stem(table, given, usual):
    """A name that tells tables apart: by the tasks, and by what is unusual in all rows."""
    values = usual.as_dict()
    unusual = [n for n, v in given.items() if n not in _UNNAMED and v != values[n]]
    named = [f"{FLAG_OF[n]}{given[n]}" for n in unusual]
    return "_".join([table, task_name(usual, usual.num_shots), *named])


def run_command(arguments):
    """Does what the arguments say; returns the exit status, 1 where a row failed."""
    options = {k: v for k, v in vars(make_parser().parse_args(arguments)).items() if v is not None}
    table, methods = options.pop("table"), options.pop("methods", None)
    path = options.pop("table_file", None)
    given = {"data_source": _DATA[table], **fields_of(options)}
    names = methods.split(",") if methods else methods_of(given)
    if path is None:
        usual = settings_of({n: v for n, v in given.items() if n in _UNNAMED}, names[0])
        path = Path(usual.runs_dir) / _file_stem(table, given, usual)
    elif Path(path).suffix in (".csv", ".md", ".png"):
        path = Path(path).with_suffix("")
    command = shlex.join(["python", "-m", "maml_baselines", *arguments])
    rows = write_table(given, names, path, say, command)
    say(f"Written to {path}.md")
    return 0 if all(row.run for row in rows) else 1


def main(argv=None):
    """Runs the command line and returns the exit status.

    Args:
      argv: arguments without the program's name; those of the process by default.
    """
    arguments = sys.argv[1:] if argv is None else argv
    return exit_status("maml_baselines", lambda: run_command(arguments), ("methods", "table_file"))


if __name__ == "__main__":
    sys.exit(main())
