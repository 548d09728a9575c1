import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.__main__ import main

ROOT = Path(__file__).parents[1]


def test_the_command_line_prints_where_the_result_is(tmp_path, capsys):
    status = main(["omniglot", "--synthetic", "--num_classes", "2", "--data_dir", str(tmp_path)])
    said = capsys.readouterr()
    assert status == 0
    assert said.err == ""
    assert f"{tmp_path}/omniglot_synthetic_packed: 2 classes, 40 pictures" in said.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["omniglot", "--source", "x", "--synthetic"], "exclude each other"),
        (["omniglot", "--num_classes", "5"], "--num_classes needs --synthetic"),
        (["omniglot", "--seed", "5"], "--seed needs --synthetic"),
        (["omniglot", "--resampling", "cubic"], "invalid choice"),
        ([], "required"),
    ],
)
def test_contradicting_options_are_refused(arguments, says, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["omniglot", "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    for option in ("source", "data_dir", "resampling", "synthetic", "num_classes", "seed", "force"):
        assert f"--{option}" in said


def test_no_tensorflow_and_no_package_above_is_imported():
    code = (
        "import sys, data_prep, data_prep.__main__;"
        "bad = {'tensorflow', 'keras', 'mtnet_tf', 'maml_baselines', 'main'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
