"""`python -m maml_baselines`: its rows, how it resumes, and the text of the table."""

import csv
import dataclasses
import json
import os

import numpy as np
import pytest

from data_prep.io import exclusive
from maml_baselines import METHODS, build_learner, resolve
from maml_baselines.__main__ import main
from maml_baselines.tables.files import read_rows, write_files
from maml_baselines.tables.published import EVALUATED_AFTER, OWN_PAPERS, PUBLISHED
from maml_baselines.tables.records import Estimate, Row
from maml_baselines.tables.rows import Scores, find_scores, row_of
from maml_baselines.tables.write import methods_of, settings_of, write_table
from mtnet_tf import experiments
from mtnet_tf.experiments import run_folder
from mtnet_tf.experiments.compare_runs import Result, pair

TINY = ["--dim_hidden=4", "--num_test_episodes=20", "--num_test_updates=2", "--debug=True"]
TINY += ["--log=False", "--num_updates=1", "--metatrain_iterations=2", "--validate_every=2"]
TINY_GIVEN = {
    "hidden_units": 4,
    "num_test_episodes": 20,
    "num_test_inner_steps": 2,
    "run_eagerly": True,
}
TINY_GIVEN |= {
    "write_summaries": False,
    "num_inner_steps": 1,
    "num_meta_iterations": 2,
    "validation_interval": 2,
}


def newest(folder):
    return max(folder.glob("table*.csv"), key=lambda file: file.stat().st_mtime_ns)


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_is_trained_compared_and_resumed(tmp_path, capsys):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=mtnet,metasgd"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[1/2] mtnet: ") and lines[1].startswith("[2/2] metasgd: ")
    path = newest(tmp_path)
    mtnet, metasgd = rows_of(path)
    assert mtnet["paper's table"] == "0.49 ± 0.05" and mtnet["iterations"] == "2"
    runs = [tmp_path / row["run"] for row in (metasgd, mtnet)]
    found = pair(*runs)
    difference = np.mean(found.scores_a[:, 2] - found.scores_b[:, 2])
    assert metasgd["minus MT-net"].startswith(f"{difference:+.3f} ± ")
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    (line,) = [x for x in path.with_suffix(".md").read_text().splitlines() if "| metasgd " in x]
    assert [cell.strip() for cell in line.split("|")[1:4]] == ["metasgd", "0.53 ± 0.09", ""]
    # The second time, everything exists already.
    stamps = {file: file.stat().st_mtime_ns for run in runs for file in run.glob("test_*.json")}
    assert main(command) == 0
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in stamps.items())
    assert rows_of(path) == [mtnet, metasgd]


@pytest.mark.long
def test_a_second_table_stops_and_changes_nothing(tmp_path, capsys):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=maml"]
    assert main(command) == 0
    path = newest(tmp_path).with_suffix(".json")
    (row,) = json.loads(path.read_text())
    table = {"name": f".{path.stem}.lock", "target": path.with_suffix("")}
    run = {"name": run_folder.LOCK_NAME}
    capsys.readouterr()
    for folder, options in ((tmp_path, table), (tmp_path / row["run"], run)):
        with exclusive(folder, **options):
            assert main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"Process {os.getpid()} on " in line
        assert f"is writing to `{options.get('target', folder)}`" in line
        assert json.loads(path.read_text()) == [row]
    assert main(command) == 0


def test_rows_are_evaluated_after_the_steps_of_their_own_paper_or_the_users():
    for given, expected in (({}, [3, 1, 12]), ({"num_test_inner_steps": 7}, [7, 7, 7])):
        given = {"data_source": "omniglot", **given}
        names = ("mtnet", "metasgd", "lstm")
        assert [settings_of(given, n).num_test_inner_steps for n in names] == expected


@pytest.mark.parametrize(("adapts", "steps"), [(True, 1), (False, None)])
def test_only_rows_of_methods_with_inner_steps_have_a_number_of_steps(adapts, steps, tmp_path):
    record = {"metric": "accuracy", "split": "test", "iteration": 5, "num_meta_parameters": 7}
    scores = {"episode": np.array([0.2, 0.5]), "another": np.array([0.2, 0.7])}
    result = Result({**record, "adapts_weights": adapts}, scores, None, tmp_path / "scores.csv")
    settings = settings_of({"data_source": "omniglot", "num_test_inner_steps": 1}, "matching")
    row = row_of("matching", settings, run_folder.Run(tmp_path / "run"), Scores(result, 1))
    # In per cent: the mean of 0.5 and 0.7, and 1.96 times their deviation 0.1 over sqrt(2).
    assert row.measured.format() == Estimate(60.0, 19.6 / 2**0.5).format() == "60.00 ± 13.86"
    assert (row.steps, row.best, row.parameters, row.episodes) == (steps, 5, 7, 2)


@pytest.mark.long
def test_an_evaluation_with_fewer_steps_is_made_again(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=maml"]
    assert main(command) == 0 and main([*command, "--num_test_updates=4"]) == 0
    (row,) = rows_of(newest(tmp_path))
    assert row["steps"] == "4"


def test_a_step_size_without_effect_is_an_error(tmp_path):
    given = {
        "hidden_units": 4,
        "num_meta_iterations": 1,
        "num_test_episodes": 20,
        "run_eagerly": True,
    }
    settings = resolve(
        {"method": "metasgd", "write_summaries": False, "runs_dir": str(tmp_path), **given}
    )
    run = run_folder.Run(tmp_path / "run")
    options = {"say": lambda text: None, "verbose": 0}
    experiments.train_run(settings, run, "command", build_learner, **options)
    with pytest.raises(
        ValueError, match="`step_size` must be 0.05, as in training, because `method=metasgd`"
    ):
        experiments.evaluate_run(settings.replace(step_size=0.1), run, **options)


@pytest.mark.long
def test_an_evaluation_with_other_settings_does_not_change_a_row(tmp_path):
    """Like `main.py --run=... --train=False --update_lr=...` between two commands."""
    given = {
        "data_source": "sinusoid",
        "hidden_units": 4,
        "num_test_episodes": 20,
        "run_eagerly": True,
    }
    given |= {"num_meta_iterations": 1, "write_summaries": False, "runs_dir": str(tmp_path)}
    (row,) = write_table(given, ["maml"], tmp_path / "table", lambda text: None, "command")
    settings = settings_of(given, "maml").replace(step_size=0.5)
    options = {"say": lambda text: None, "verbose": 0}
    experiments.evaluate_run(settings, run_folder.Run(tmp_path / row.run), **options)
    assert write_table(given, ["maml"], tmp_path / "table", lambda text: None, "command") == [row]


def test_a_row_without_a_trained_run_says_so(tmp_path):
    command = [
        "table1",
        *TINY,
        f"--logdir={tmp_path}",
        "--methods=maml",
        "--metatrain_iterations=0",
    ]
    assert main(command) == 1
    (row,) = rows_of(newest(tmp_path))
    assert row["measured"].startswith("failed: No trained run in")


@pytest.mark.long
def test_rows_of_an_earlier_command_stay_and_are_compared_with_its_mtnet(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}"]
    assert main([*command, "--methods=mtnet,maml"]) == 0
    path = newest(tmp_path)
    mtnet, maml = rows_of(path)
    assert main([*command, "--methods=tnet"]) == 0
    kept = rows_of(path)
    assert [row["method"] for row in kept] == ["mtnet", "tnet", "maml"]
    assert (kept[0], kept[2]) == (mtnet, maml)
    assert " ± " in kept[1]["minus MT-net"]
    # The table does not show an evaluation with other settings.
    settings = settings_of(TINY_GIVEN, "mtnet").replace(step_size=0.5, runs_dir=str(tmp_path))
    options = {"say": lambda text: None, "verbose": 0}
    experiments.evaluate_run(settings, run_folder.Run(tmp_path / mtnet["run"]), **options)
    assert main([*command, "--methods=tnet"]) == 0
    assert rows_of(path) == kept
    # Another MT-net is another reference for all rows.
    other = [*command, "--methods=mtnet", "--metatrain_iterations=4", f"--table_file={path}"]
    assert main([*other, "--meta_lr=0.5"]) == 0
    again = rows_of(path)
    for before, after in zip(kept[1:], again[1:], strict=True):
        assert after["measured"] == before["measured"]
        assert after["minus MT-net"] != before["minus MT-net"] and " ± " in after["minus MT-net"]
    title = path.with_suffix(".md").read_text(encoding="utf-8").splitlines()[0]
    assert title == "# all systems, sinusoid, 10-shot, 2 to 4 meta-iterations"
    # Without MT-net there is no difference.
    assert main([*other, "--update_lr=1e30"]) == 1
    assert [row["minus MT-net"] for row in rows_of(path)] == ["", "", ""]


def test_a_row_rests_on_the_evaluation_that_it_names(tmp_path):
    given = {**TINY_GIVEN, "data_source": "sinusoid", "runs_dir": str(tmp_path)}
    (row,) = write_table(given, ["maml"], tmp_path / "table", lambda text: None, "command")
    scores = find_scores(row, tmp_path)
    assert scores.result.file.name == row.evaluation
    assert np.mean([values[2] for values in scores.result.scores.values()]) == row.measured.mean
    assert find_scores(dataclasses.replace(row, evaluation="other_episodes.csv"), tmp_path) is None
    # The same name with other scores: the file was overwritten.
    other = dataclasses.replace(row.measured, mean=row.measured.mean + 1e-6)
    assert find_scores(dataclasses.replace(row, measured=other), tmp_path) is None


@pytest.mark.long
def test_a_table_of_an_older_version_is_continued(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}", f"--table_file={tmp_path / 'table.csv'}"]
    assert main([*command, "--methods=mtnet,maml"]) == 0
    table = tmp_path / "table"
    exact = [dataclasses.replace(row, seconds=None) for row in read_rows(table, tmp_path)]
    mtnet, maml = rows_of(tmp_path / "table.csv")
    (tmp_path / "table.json").unlink()
    # The kept rows are compared with MT-net, by the evaluations that have their rounded scores.
    assert main([*command, "--methods=tnet"]) == 0
    kept = rows_of(tmp_path / "table.csv")
    assert [kept[0], kept[2]] == [mtnet, maml] and " ± " in kept[1]["minus MT-net"]
    rows = [dataclasses.replace(row, seconds=None) for row in read_rows(table, tmp_path)]
    assert [rows[0], rows[2]] == exact
    # Without the run folders, the rows stay too.
    (tmp_path / "table.json").unlink()
    assert main([*command, "--methods=anil", f"--logdir={tmp_path / 'new'}"]) == 0
    again = {row["method"]: row for row in rows_of(tmp_path / "table.csv")}
    assert list(again) == ["mtnet", "tnet", "maml", "anil"]
    assert [again[row["method"]] for row in kept] == kept


@pytest.mark.long
def test_rows_without_run_folders_have_no_difference_to_another_mtnet(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}", f"--table_file={tmp_path / 'table'}"]
    assert main([*command, "--methods=mtnet,maml"]) == 0
    (maml,) = (row for row in rows_of(tmp_path / "table.csv") if row["method"] == "maml")
    assert maml["minus MT-net"]
    other = [*command, f"--logdir={tmp_path / 'new'}", "--meta_lr=0.5"]
    assert main([*other, "--methods=mtnet"]) == 0
    assert rows_of(tmp_path / "table.csv")[1] == {**maml, "minus MT-net": ""}


@pytest.mark.long
def test_a_row_of_an_unknown_method_stays(tmp_path):
    given = {**TINY_GIVEN, "data_source": "sinusoid", "runs_dir": str(tmp_path)}
    mine = Row(method="mine", measured=Estimate(0.5))
    write_files([mine], tmp_path / "table", settings_of(given, "maml"))
    write_table(given, ["maml"], tmp_path / "table", lambda text: None, "command")
    rows = read_rows(tmp_path / "table", tmp_path)
    assert [row.method for row in rows] == ["maml", "mine"] and rows[1] == mine


def test_a_damaged_table_gives_one_line(tmp_path, capsys):
    (tmp_path / "mine.json").write_text("[{")
    flags = ["--methods=maml", f"--table_file={tmp_path / 'mine'}"]
    assert main(["table1", *TINY, f"--logdir={tmp_path}", *flags]) == 2
    error = capsys.readouterr().err
    assert "mine.json is not readable JSON" in error and len(error.splitlines()) == 1


def test_a_table_has_one_seed_one_split_and_one_kind_of_task(tmp_path, capsys):
    flags = ["--methods=maml", f"--table_file={tmp_path / 'table'}"]
    command = ["table1", *TINY, f"--logdir={tmp_path}", *flags]
    assert main(command) == 0
    for other in ("--seed=1", "--test_set=False", "--datasource=polynomial"):
        capsys.readouterr()
        assert main([*command, other]) == 2
        assert "table.csv must contain rows of the" in capsys.readouterr().err
    (row,) = rows_of(tmp_path / "table.csv")
    assert row["split"] == "test" and row["episodes"] == "20"


def test_tables_with_different_settings_are_different_files(tmp_path):
    stems = set()
    for flags in ([], ["--seed=1"], ["--num_queries=4"], ["--test_set=False"]):
        command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=mtnet", *flags]
        command.append("--metatrain_iterations=0")  # fails, which is quick
        assert main(command) == 1
        stems |= {file.name for file in tmp_path.glob("*.csv")}
    assert len(stems) == 4 and all(stem.startswith("table1_sinusoid_10shot_") for stem in stems)


def test_a_table_of_validation_scores_names_the_split(tmp_path):
    flags = ["--methods=maml", "--test_set=False", f"--table_file={tmp_path / 'table.csv'}"]
    assert main(["table1", *TINY, f"--logdir={tmp_path}", *flags]) == 0
    (row,) = rows_of(tmp_path / "table.csv")
    assert row["paper's table"] == "" and row["run"]
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "validation split, 2 meta-iterations" in text


def test_a_file_that_is_not_a_table_is_kept(tmp_path, capsys):
    file = tmp_path / "mine.csv"
    file.write_text("a,b\n1,2\n")
    flags = ["--methods=maml", f"--table_file={tmp_path / 'mine'}"]
    assert main(["table1", *TINY, f"--logdir={tmp_path}", *flags]) == 2
    assert "must be a table of this program" in capsys.readouterr().err
    assert file.read_text() == "a,b\n1,2\n"


@pytest.mark.long
def test_the_oracle_has_a_row_although_its_episodes_differ(tmp_path):
    assert main(["table1", *TINY, f"--logdir={tmp_path}", "--methods=oracle,mtnet"]) == 0
    mtnet, oracle = rows_of(newest(tmp_path))
    assert mtnet["method"] == "mtnet" and oracle["method"] == "oracle"
    assert float(oracle["measured"].split(" ± ")[0]) > 0
    assert oracle["minus MT-net"] == "other episodes"


@pytest.mark.long
def test_a_run_planned_for_fewer_iterations_does_not_continue_without_learning_rate(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=reptile"]
    assert main(command) == 0 and main([*command, "--metatrain_iterations=4"]) == 1
    (row,) = rows_of(newest(tmp_path))
    assert row["measured"].startswith(
        "failed: --metatrain_iterations must be 2, the value at the start"
    )
    assert not newest(tmp_path).with_suffix(".png").exists()  # the plot of the older table


@pytest.mark.long
def test_published_numbers_are_shown_for_the_same_tasks_only(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=maml", "--update_batch_size=5"]
    assert main(command) == 0
    (row,) = rows_of(newest(tmp_path))
    assert row["paper's table"] == ""


def test_a_row_that_diverges_is_reported_in_the_table(tmp_path):
    command = ["table1", *TINY, f"--logdir={tmp_path}", "--methods=maml", "--update_lr=1e30"]
    assert main(command) == 1
    (row,) = rows_of(newest(tmp_path))
    assert row["measured"].startswith("failed: Training diverged")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["table1", "--methods=maml,mine"], "`method` must be one of"),
        (["table3", "--methods=maml,oracle"], "`baseline=oracle` requires"),
        (
            ["table1", "--methods=maml,reptile", "--pretrain_iterations=1"],
            "--pretrain_iterations=0",
        ),
        (["table3", "--methods=maml,metasgd", "--num_classes=0"], "--num_classes must be positive"),
    ],
)
def test_a_wrong_command_gives_one_line(flags, message, tmp_path, capsys):
    assert main([*flags, f"--logdir={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_published_numbers_belong_to_known_methods():
    for table in (PUBLISHED, OWN_PAPERS):
        assert all(set(column) <= set(METHODS) for column in table.values())
    assert set(PUBLISHED) == set(EVALUATED_AFTER)


def test_every_method_of_a_table_fits_its_data_and_mtnet_comes_first():
    images, curves = (methods_of({"data_source": s}) for s in ("omniglot", "sinusoid"))
    assert images[0] == curves[0] == "mtnet"
    assert set(images) | set(curves) == set(METHODS)
    assert not {"oracle", "pretrained"} & set(images) and "prototypical" not in curves
