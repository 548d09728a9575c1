"""The command line, from flags to files and messages."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import mtnet_tf_cli
from mtnet_tf.experiments import ACTIONS, FLAGS, Run

MAIN = Path(__file__).resolve().parent.parent / "main.py"


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def main():
    mtnet_tf_cli.define_flags()
    return mtnet_tf_cli


@pytest.fixture
def command(main, monkeypatch, capsys, tmp_path):
    """Runs `main.py` with flags in `tmp_path`, without the seconds of starting TensorFlow."""
    monkeypatch.chdir(tmp_path)

    def run(*flags):
        for name in main.VALUES:
            main.VALUES[name].unparse()
        monkeypatch.setattr(sys, "argv", ["main.py", *flags])
        capsys.readouterr()
        try:
            returncode = main.main(main.parse(sys.argv))
        except SystemExit as stop:
            returncode = stop.code
        return Result(returncode, *capsys.readouterr())

    return run


def test_sinusoid_trains_resumes_and_evaluates(command, tmp_path):
    flags = [
        "--use_T",
        "--use_M",
        "--dim_hidden=8",
        "--num_test_episodes=40",
        "--jit_compile=False",
    ]
    flags += ["--num_test_updates=3", "--validate_every=20", "--logdir=out"]
    first = command(*flags, "--metatrain_iterations=20")
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "out").iterdir()
    assert (
        run.name
        == "sinusoid_10shot_mtnet_tasks4_steps1_alpha0.01_beta0.001_normNone_dim_hidden8_seed0"
    )
    config = json.loads((run / "config.json").read_text())
    assert config["command"].startswith("main.py --use_T --use_M")
    assert "A task may change" in first.stdout and "of W and b." in first.stdout
    second = command(*flags, "--metatrain_iterations=40")
    assert second.returncode == 0, second.stderr
    assert "Resuming from" in second.stdout and "40 distinct episodes" in second.stdout
    with (run / "test_ubs10_stepsize0.01_updates3_episodes40.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == [f"update{i}" for i in range(4)] and len(rows) == 4
    record = json.loads((run / "test_ubs10_stepsize0.01_updates3_episodes40.json").read_text())
    assert record["num_distinct_episodes"] == 40 and record["split"] == "test"
    assert record["settings"]["meta_batch_size"] == 4
    assert float(rows[1][3]) == pytest.approx(record["query_after_step"]["mean"][3])
    assert (
        len(
            (run / "test_ubs10_stepsize0.01_updates3_episodes40_episodes.csv")
            .read_text()
            .splitlines()
        )
        == 41
    )
    # Another step size in evaluation; all other settings are those of the run.
    tested = command("--train=False", f"--run={run}", "--update_lr=0.02")
    assert tested.returncode == 0, tested.stderr
    assert (run / "test_ubs10_stepsize0.02_updates3_episodes40.png").is_file()
    assert (run / "test_curves.png").is_file()
    # The newest evaluation is compared with itself.
    compared = command("--compare", str(run), str(run))
    assert compared.returncode == 0, compared.stderr
    assert "distinct episodes in common" in compared.stdout
    assert compared.stdout.splitlines()[-1].split()[3] == "+0.000"


@pytest.mark.long
def test_a_method_is_trained_by_name_and_evaluated_from_its_folder(command, tmp_path):
    flags = ["--method=metasgd", "--dim_hidden=4", "--metatrain_iterations=2", "--debug", "--nolog"]
    flags += ["--num_test_episodes=20", "--num_test_updates=1", "--logdir=out"]
    first = command(*flags)
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "out").iterdir()
    assert run.name.startswith("sinusoid_10shot_metasgd_tasks4")
    assert "Method: metasgd" in first.stdout
    again = command("--train=False", f"--run={run}", "--num_test_updates=2")
    assert again.returncode == 0, again.stderr
    assert "after 2 steps" in again.stdout
    other = command(*flags, "--use_T")
    assert other.returncode == 2 and "--method=metasgd implies --use_T=False" in other.stderr


def test_synthetic_omniglot_trains_predicts_and_is_exported(command, tmp_path, monkeypatch):
    from data_prep import prepare_synthetic_omniglot

    prepare_synthetic_omniglot(tmp_path / "data", num_classes=60, progress=False)
    result = command(
        "--datasource=omniglot", "--synthetic", "--use_T", "--use_M", "--num_filters=4",
        "--metatrain_iterations=2", "--num_test_episodes=20", "--num_test_updates=1",
        "--meta_batch_size=2", "--num_classes=3", "--jit_compile=False",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Data: SYNTHETIC images; the scores cannot be compared" in result.stdout
    (run,) = (tmp_path / "runs").iterdir()
    assert "omniglot_synthetic_3way" in run.name
    assert (
        json.loads((run / "test_ubs1_stepsize0.4_updates1_episodes20.json").read_text())[
            "synthetic"
        ]
        is True
    )
    # The trained run predicts labels of a user's own images, and is exported.
    for label in ("ka", "ga"):
        (tmp_path / "own" / label).mkdir(parents=True)
        drawing = Image.new("L", (50, 40), 255)
        drawing.paste(0, (5, 5, 20 if label == "ka" else 45, 9))
        drawing.save(tmp_path / "own" / label / "1.png")
    answer = command("--predict", f"--run={run}", "--support=own", "--query=own/ka/1.png")
    assert answer.returncode == 0, answer.stderr
    assert "they are inverted" in answer.stdout and "Set --invert=True" in answer.stdout
    assert "own/ka/1.png" in answer.stdout
    assert (run / "contact_sheet.png").is_file()
    monkeypatch.setenv("HOME", str(tmp_path))
    exported = command(f"--run={run}", "--export_dir=~/served/1")
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()


@pytest.mark.long
def test_a_folder_of_images_trains_and_its_splits_are_checked(command, tmp_path):
    rng = np.random.default_rng(0)
    for name in "abcdefghij":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (14, 14, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    result = command(
        "--datasource=folder", "--data_dir=photos", "--packed_dir=packed", "--image_size=8",
        "--num_classes=2", "--conv=False", "--use_T", "--metatrain_iterations=2",
        "--num_test_episodes=20", "--num_test_updates=1", "--jit_compile=False",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Checked: no class and no image of the test split" in result.stdout
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("folder_photos8_2way_1shot_tnet")
    # One more class changes the split: a test class may be one that the run was trained on.
    shutil.copytree(tmp_path / "photos" / "a", tmp_path / "photos" / "k")
    again = command(f"--run={run}", "--train=False", "--datasource=folder", "--packed_dir=packed")
    assert again.returncode == 2
    assert "must be the ones that the run in this folder was trained on" in again.stderr
    assert (run / "test_ubs1_stepsize0.01_updates1_episodes20_answers.png").is_file()


def write_photos(folder, class_names, per_class=3):
    rng = np.random.default_rng(0)
    for name in class_names:
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            pixels = rng.integers(0, 256, (14, 14, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.PNG")


OWN_IMAGES = ["--datasource=folder", "--image_size=8", "--num_classes=2", "--conv=False"]
OWN_IMAGES += ["--metatrain_iterations=1", "--num_test_episodes=5", "--num_test_updates=1"]
OWN_IMAGES += ["--debug", "--nolog", "--num_filters=2"]


@pytest.mark.long
def test_given_splits_of_any_usual_name_train_with_a_tilde_in_every_path(
    command, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    names = [os.fsdecode(b"cat\xff"), "two\nlines", "Cat", "cat", "$x^$", "\u732b"]
    folders = ["Train", "Train", "Valid", "Valid", "TEST", "TEST"]
    write_photos(tmp_path / "own", [f"{f}/{n}" for f, n in zip(folders, names, strict=True)])
    flags = ["--data_dir=~/own", "--packed_dir=~/packed", "--logdir=~/runs"]
    result = command(*OWN_IMAGES, *flags)
    assert result.returncode == 0, result.stderr
    assert "Checked: no class and no image of the test split" in result.stdout
    assert "divided at random" not in result.stdout
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "test_ubs1_stepsize0.01_updates1_episodes5_answers.png").is_file()
    assert not (tmp_path / "~").exists()
    run_flag = f"--run=~/runs/{run.name}"
    answer = command(
        "--predict", run_flag, "--support=~/own/Train", "--query=~/own/TEST/$x^$/0.PNG"
    )
    assert answer.returncode == 0, answer.stderr
    assert command("--compare", f"~/runs/{run.name}", f"~/runs/{run.name}").returncode == 0


def test_too_few_classes_or_images_are_explained_with_flags(command, tmp_path):
    write_photos(tmp_path / "own", "abcde")
    flags = [*OWN_IMAGES, "--data_dir=own", "--packed_dir=packed"]
    fewer = command(*flags)
    assert fewer.returncode == 2
    assert "--num_classes must not exceed the 1 class of the" in fewer.stderr
    assert "Add 1 class to --data_dir" in fewer.stderr
    write_photos(tmp_path / "own", "f", per_class=2)
    small = command(*flags, "--update_batch_size=2", "--num_queries=1")
    assert small.returncode == 2
    assert "--update_batch_size = 2 for the support set and --num_queries = 1" in small.stderr
    assert 'Received: "f" has 2.' in small.stderr


@pytest.mark.long
def test_a_run_that_is_damaged_or_being_written_gives_one_line(command, tmp_path):
    flags = ["--dim_hidden=4", "--metatrain_iterations=2", "--debug", "--nolog", "--logdir=out"]
    flags += ["--num_test_episodes=20", "--num_test_updates=1", "--meta_batch_size=50"]
    first = command(*flags)
    assert first.returncode == 0, first.stderr
    (folder,) = (tmp_path / "out").iterdir()
    evaluates, exports = ("--train=False", f"--run={folder}"), (f"--run={folder}", "--export_dir=x")
    compares, resumes = ("--compare", str(folder), str(folder)), (*flags, "--validate_every=1")
    with Run(folder).writing():
        for write in (evaluates, resumes):
            result = command(*write)
            assert result.returncode == 2
            in_use = rf"main.py: Process {os.getpid()} on .* is writing to `.*`. Wait .*\n"
            assert re.fullmatch(in_use, result.stderr)
        assert command(*compares).returncode == 0  # reading needs no lock
    readers = {"config.json": (evaluates, exports), "checkpoints/best.keras": (evaluates, exports)}
    readers |= {path.name: (compares,) for path in folder.glob("*_episodes.*")}
    readers |= {path.with_suffix(".json").name: (compares,) for path in folder.glob("test_*.csv")}
    for name, commands in readers.items():
        path = folder / name
        if not path.is_file():
            continue  # the CSV file of episodes has no JSON file
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:-3], b"", b"\xff\x00"):
            path.write_bytes(damaged)
            for read in commands:
                result = command(*read)
                assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, (name, read)
        path.unlink()
        assert all(command(*read).returncode in (0, 2) for read in commands), name
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--meta_batch_size=ten"], "flag --meta_batch_size=ten"),
        (["--nonsense"], "Unknown command line flag 'nonsense'"),
        (["--train=False", "--logdir=none"], "No trained run in none/sinusoid"),
        (["omniglot"], "Only flags are accepted as arguments. Received: ['omniglot']"),
        (["--predict"], "No trained run in runs/sinusoid"),
        (["--compare="], "--compare must not be empty"),
        (["--predict", "--export_dir=x"], "--export_dir and --predict cannot be combined"),
        (["--support=x"], "--support requires --predict"),
        (["--num_classes=0"], "--num_classes must be positive. Received: --num_classes=0."),
        (["--method=cnn"], "--method must be one of mtnet"),
        (["--synthetic"], "--synthetic replaces Omniglot or MiniImagenet"),
        (["--datasource=folder", "--data_dir=nowhere"], "nowhere` must be a folder of class"),
        (["--compare=runs/a"], "--compare requires two run folders. Received: ['runs/a']"),
    ],
)
def test_a_wrong_command_prints_one_line_and_exits_with_status_2(flags, message, command):
    result = command(*flags)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


ENTRY_POINT = "import mtnet_tf_cli; mtnet_tf_cli.run_main()"
STARTS = {"main.py": [str(MAIN)], "mtnet-tf": ["-c", ENTRY_POINT]}


@pytest.mark.long
@pytest.mark.parametrize("start", STARTS)
def test_the_program_runs_in_any_folder(start, tmp_path):
    """Also with the function that the installed command calls."""

    def run(*flags):
        environment = {**os.environ, "PYTHONPATH": str(MAIN.parent)}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        environment["PYTHONWARNINGS"] = "ignore::FutureWarning"  # Keras 3.13 with NumPy 2.0
        command = [sys.executable, *STARTS[start], *flags]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=280, env=environment
        )

    wrong, helped = run("--norm=instance"), run("--help")
    assert wrong.returncode == 2
    (message,) = wrong.stderr.splitlines()  # no traceback, and none of TensorFlow's messages
    assert re.fullmatch("(main.py|-c): --norm must be one of batch_norm, .*", message)
    assert helped.returncode == 1  # as in every absl program
    assert helped.stdout.lstrip().startswith("Trains and evaluates MT-nets")
    assert "mtnet-tf --datasource=omniglot --use_T --use_M" in helped.stdout
    for name in (*FLAGS, *ACTIONS):
        assert re.search(rf"^  --(\[no\])?{name}:", helped.stdout, re.MULTILINE), name


@pytest.mark.long
@pytest.mark.parametrize("command", [[str(MAIN)], ["-m", "maml_baselines", "table1"]])
def test_a_run_prints_only_its_own_lines(command, tmp_path):
    """Also at the first compiled step. Standard error stays empty."""
    environment = {**os.environ, "PYTHONPATH": str(MAIN.parent)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    environment["PYTHONWARNINGS"] = "ignore::FutureWarning"  # Keras 3.13 with NumPy 2.0
    flags = ["--dim_hidden=4", "--metatrain_iterations=2", "--num_test_episodes=20", "--nolog"]
    flags += ["--num_test_updates=1", "--meta_batch_size=50"]
    flags += ["--methods=maml", "--debug"] if "-m" in command else ["--use_T", "--use_M"]
    done = subprocess.run(
        [sys.executable, *command, *flags],
        cwd=tmp_path, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "written to" in done.stdout.lower()


@pytest.mark.long
def test_an_ascii_terminal_shows_every_text(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(MAIN.parent), "PYTHONIOENCODING": "ascii:strict"}
    for name in ("PYTHONUTF8", "PYTHONWARNINGS"):
        environment.pop(name, None)
    flags = [
        "--dim_hidden=2",
        "--num_test_episodes=5",
        "--num_test_updates=1",
        "--debug",
    ]
    flags += ["--metatrain_iterations=1", "--validate_every=1", "--logdir=\u732b\udcff \u00b1"]
    done = subprocess.run(
        [sys.executable, str(MAIN), *flags], cwd=tmp_path, capture_output=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.decode("ascii")
    assert "+/- " in printed and r"\u732b\udcff +/-" in printed


def test_the_installed_command_runs(tmp_path):
    command = Path(sys.executable).with_name("mtnet-tf")
    if not command.exists():
        pytest.skip("the package is not installed in this environment")
    done = subprocess.run([command, "--run=x", "--train=False"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1].startswith("mtnet-tf: No trained run in x")
