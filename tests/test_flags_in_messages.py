"""No message may name a flag that the command which prints it does not have."""

import argparse
import ast
import re
from pathlib import Path

import pytest

from data_prep import DataError
from data_prep.__main__ import main as prepare
from data_prep.cli import as_flags as as_flags_of_preparation
from data_prep.cli import make_parser
from maml_baselines.__main__ import main as make_tables
from maml_baselines.__main__ import make_parser as make_parser_of_tables
from maml_baselines.tables import LACKING_FLAGS
from mtnet_tf.experiments import ACTIONS, FLAGS, as_flags

ROOT = Path(__file__).resolve().parents[1]
MENTION = re.compile(r"(?<![\w-])--([A-Za-z]\w*+)(?!<)")
OF_EVERY_PROGRAM = {"help"}


def options_of(parser):
    return {o[2:] for action in parser._actions for o in action.option_strings if o[:2] == "--"}


def subparsers(parser):
    (choice,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return choice.choices


MAIN = {*FLAGS, *ACTIONS, *OF_EVERY_PROGRAM}
TABLES = options_of(make_parser_of_tables())
PREPARATION = {name: options_of(parser) for name, parser in subparsers(make_parser()).items()}
REQUIRED = {"folder": ["--source=x", "--image_size=8"]}


def texts(path):
    """Every string in a file; the values in an f-string become `<X>`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
             for part in ast.walk(node) if part is not node}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else "<X>" for v in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in parts:
            yield node.value if isinstance(node.value, str) else ""


def messages(*packages):
    for package in packages:
        path = ROOT / package
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
            for text in texts(file):
                yield file.relative_to(ROOT).as_posix(), text


def mentions(text):
    return set(MENTION.findall(text))


def unknown(text, flags):
    """Flags that a text names; `--nolog` is the negative of `--log`."""
    return {n for n in mentions(text) if not {n, n.removeprefix("no")} & set(flags)}


# The files of other commands, whose messages a command cannot print, and a file with XLA's flags.
OTHERS = {
    "main": {"maml_baselines/__main__.py", "data_prep/cli.py", "data_prep/__main__.py"},
    "tables": {"data_prep/cli.py", "data_prep/__main__.py", "mtnet_tf/experiments/flags.py"},
}
for files in OTHERS.values():
    files.add("mtnet_tf/experiments/compilation_cache.py")


def test_messages_of_the_main_command_name_its_flags():
    packages = ("mtnet_tf_cli", "maml_baselines", "mtnet_tf", "data_prep")
    for file, text in messages(*packages):
        if file not in OTHERS["main"]:
            assert not unknown(as_flags(text), MAIN), (file, text)


def test_messages_of_the_tables_name_their_flags():
    for file, text in messages("maml_baselines", "mtnet_tf", "data_prep"):
        if file not in OTHERS["tables"]:
            shown = as_flags(text, ["methods", "table_file"], LACKING_FLAGS)
            assert not unknown(shown, TABLES), (file, text)


@pytest.mark.parametrize("command", PREPARATION)
def test_messages_of_the_preparation_name_its_flags(command):
    args = make_parser().parse_args([command, *REQUIRED.get(command, [])])
    for file, text in messages("data_prep"):
        if file != "data_prep/cli.py":  # these are checked by running them
            shown = as_flags_of_preparation(text, args)
            assert not unknown(shown, PREPARATION[command]), (file, text)


@pytest.mark.parametrize("command", PREPARATION)
def test_help_of_the_preparation_names_flags_of_the_same_data_set(command, capsys):
    with pytest.raises(SystemExit):
        prepare([command, "--help"])
    assert not unknown(capsys.readouterr().out, PREPARATION[command])


def test_help_of_flags_names_flags_of_the_same_command(capsys):
    for name in (*FLAGS, *ACTIONS):
        assert not unknown((FLAGS.get(name) or ACTIONS[name]).help, MAIN), name
    with pytest.raises(SystemExit):
        make_tables(["--help"])
    assert not unknown(capsys.readouterr().out, TABLES)


@pytest.mark.parametrize(
    ("message", "flags", "found"),
    [
        ("Name it with --csv_dir.", MAIN, {"csv_dir"}),
        ("Name it with --run.", TABLES, {"run"}),
        ("| --- | --<X> and --no<X> |", MAIN, set()),
        ("add --synthetic, or --nolog", MAIN, set()),
    ],
)
def test_a_flag_that_does_not_exist_is_noticed(message, flags, found):
    assert unknown(message, flags) == found


WRONG = {
    "omniglot": ["--source", "nowhere"],
    "miniimagenet": [],
    "folder": ["--source", "nowhere", "--image_size", "8"],
}


@pytest.mark.parametrize("command", WRONG)
def test_errors_that_are_printed_name_flags_of_the_command(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert prepare([command, *WRONG[command]]) == 2
    assert not unknown(capsys.readouterr().err, PREPARATION[command])


def test_messages_of_functions_name_their_parameters(tmp_path):
    from data_prep import ensure_miniimagenet, prepare_folder

    with pytest.raises(DataError, match="`sources`, `csv_dir`. with `prepare_miniimagenet`") as one:
        ensure_miniimagenet(tmp_path)
    with pytest.raises(DataError, match="with `packed_dir`") as other:
        prepare_folder(tmp_path, tmp_path / "packed", 8)
    assert not mentions(str(one.value)) | mentions(str(other.value))
