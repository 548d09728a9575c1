import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.__main__ import main
from data_prep.cli import as_flags, make_parser
from support.archives import write_folder
from support.jpegs import encode, photo

ROOT = Path(__file__).parents[2]


def test_the_command_line_prints_where_the_result_is(tmp_path, capsys):
    status = main(["omniglot", "--synthetic", "--num_classes", "2", "--data_dir", str(tmp_path)])
    printed = capsys.readouterr()
    assert status == 0
    assert printed.err == ""
    assert f"{tmp_path}/omniglot_synthetic_packed: 2 classes, 40 images" in printed.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["omniglot", "--source", "x", "--synthetic"], "cannot be combined"),
        (["omniglot", "--num_classes", "5"], "--num_classes requires --synthetic"),
        (["omniglot", "--seed", "5"], "--seed requires --synthetic"),
        (["omniglot", "--resampling", "cubic"], "invalid choice"),
        (["miniimagenet", "--source", "x", "--synthetic"], "cannot be combined"),
        (["miniimagenet", "--per_class", "5"], "--per_class requires --synthetic"),
        (["folder", "--source", "x"], "--image_size"),
        (["folder", "--source", "x", "--image_size", "8", "--grey", "--colour"], "not allowed"),
        ([], "required"),
    ],
)
def test_contradictory_options_are_rejected(arguments, says, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


OPTIONS = {
    "omniglot": "source data_dir resampling synthetic num_classes seed force",
    "miniimagenet": "source csv_dir data_dir force workers allow_missing report synthetic "
    "num_classes per_class seed",
    "folder": "source image_size grey colour seed packed_dir force workers",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_names_every_option(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for option in OPTIONS[command].split():
        assert f"--{option}" in printed


def test_a_summary_has_a_line_for_each_split(tmp_path, capsys):
    write_folder(
        tmp_path / "pets",
        {f"{k}/{n}.png": encode(photo(n, (9, 7)), "PNG") for k in "abc" for n in range(2)},
    )
    arguments = ["folder", "--source", str(tmp_path / "pets"), "--image_size", "8"]
    assert main([*arguments, "--packed_dir", str(tmp_path / "cache")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("1 classes, 2 images of shape (8, 8, 3).") == 3
    assert "same pixels, all kept: b/0.png = a/0.png" in printed


def test_no_tensorflow_and_no_package_above_is_imported():
    code = (
        "import sys, data_prep, data_prep.__main__;"
        "bad = {'tensorflow', 'keras', 'mtnet_tf', 'maml_baselines', 'main'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "message", "expected"),
    [
        ("omniglot", "Name it with `sources`.", "Name it with --source."),
        ("omniglot", "Use `force=True` or `data_dir`.", "Use --force or --data_dir."),
        ("omniglot", "Received: seed=-1.", "Received: --seed=-1."),
        (
            "omniglot",
            "Use `csv_dir`. `data/seed` is a file.",
            "Use `csv_dir`. `data/seed` is a file.",
        ),
        ("miniimagenet", "`report=FILE` lists all.", "--report=FILE lists all."),
        ("folder", "`data_dir` or `packed_dir`", "`data_dir` or --packed_dir"),
    ],
)
def test_messages_name_the_flags_of_the_command_and_nothing_else(command, message, expected):
    required = ["--source", "pets", "--image_size", "8"] if command == "folder" else []
    assert as_flags(message, make_parser().parse_args([command, *required])) == expected


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["omniglot", "--synthetic", "--num_classes", "0"], "Received: --num_classes=0."),
        (["omniglot", "--source", "seed"], "seed` does not exist"),
        (["miniimagenet"], "from other folders (--source, --csv_dir) with"),
        (["miniimagenet", "--synthetic", "--per_class", "0"], "--per_class must be positive"),
        (["folder", "--source", "seed", "--image_size", "8"], "seed` must be a folder"),
        (["folder", "--source", ".", "--image_size", "0"], "Received: --image_size=0."),
        (["folder", "--source", ".", "--image_size", "8"], "--packed_dir"),
    ],
)
def test_errors_are_printed_with_flags(arguments, printed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results = "--packed_dir" if arguments[0] == "folder" else "--data_dir"
    assert main([*arguments, results, str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err
    assert printed in error
    assert "--seed` " not in error and "`--" not in error


def test_a_class_named_like_an_argument_keeps_its_name(tmp_path, capsys):
    write_folder(tmp_path / "pets", {f"{name}/0.png": b"" for name in ("seed", "grey", "force")})
    arguments = ["folder", "--source", str(tmp_path / "pets"), "--image_size", "8"]
    assert main([*arguments, "--packed_dir", str(tmp_path / "cache")]) == 2
    assert '"seed" has 1, "force" has 1, "grey" has 1' in capsys.readouterr().err
