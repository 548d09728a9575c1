"""Repeats the paper's tables: trains every method, evaluates it on the same episodes, compares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from data_prep.io import InUseError, exclusive, user_path
from maml_baselines.methods import METHODS
from maml_baselines.resolving import build_learner, fits, resolve
from maml_baselines.tables.files import read_rows, write_files
from maml_baselines.tables.published import EVALUATED_AFTER, OWN_PAPERS, PUBLISHED
from maml_baselines.tables.records import Row, format_score, format_seconds
from maml_baselines.tables.rows import (
    REFERENCE,
    Scores,
    column_of,
    compare,
    find_scores,
    published_in,
    row_of,
    without_difference,
)
from mtnet_tf.experiments import (
    ACTIONS,
    Result,
    Run,
    Settings,
    as_flags,
    check_same_run,
    evaluate_run,
    read_results,
    read_settings,
    run_name,
    task_name,
    train_run,
)

# An evaluation with other values of these fields, or with fewer inner steps, is repeated.
_OF_AN_EVALUATION = (
    *("step_size", "num_shots", "num_queries", "seed"),
    *("num_meta_iterations", "checkpoint_iteration", "num_test_episodes"),
)


# Settings that a table chooses for each row. Its command lacks their flags, and all actions.
LACKING_FLAGS = ("method", "baseline", "use_T", "use_M", "share_M", "stop_grad", "run", "train")
LACKING_FLAGS += ("train_update_lr", "train_update_batch_size", *ACTIONS)


def methods_of(given: Mapping[str, Any]) -> list[str]:
    """Names of the methods that can learn from a data source, MT-net first.

    Args:
        given: values of some fields of `Settings`, among them `data_source`.
    """
    return [name for name, method in METHODS.items() if fits(method, given["data_source"])]


def write_table(
    given: Mapping[str, Any],
    methods: Sequence[str],
    path: Path | str,
    say: Callable[[str], None],
    command: str,
) -> list[Row]:
    """Trains and evaluates what is missing, and writes the table after every row.

    Rows that an earlier command wrote to the same table are kept, unless `methods` contains them.

    Args:
        given: values of some fields of `Settings` for all rows, among them `data_source`.
        methods: names of the methods. MT-net comes first, since the others are compared with it.
        path: of the table, without ".json", ".csv", ".md" and ".png".
        say: function that prints a line.
        command: the command line.

    Returns:
        The rows of `methods`.

    Raises:
        ValueError: before any training, if the settings of a row are not allowed, or if the file
            is damaged or contains something else; if another process writes the table or a run.
    """
    names = sorted(dict.fromkeys(methods), key=lambda name: name != REFERENCE)
    planned = {name: settings_of(given, name) for name in names}
    path = user_path(path)
    with exclusive(path.parent, name=f".{path.name}.lock", wait=False, target=path):
        return _write_rows(planned, path, say, command)


def _write_rows(
    planned: Mapping[str, Settings], path: Path | str, say: Callable[[str], None], command: str
) -> list[Row]:
    """Makes the rows with these settings, see `write_table`."""
    first = next(iter(planned.values()))
    rows = {row.method: row for row in read_rows(path, first.runs_dir)}
    _check_same_tasks(rows.values(), first, path)
    scores = {name: find_scores(row, first.runs_dir) for name, row in rows.items()}
    compared: list[Row] = []
    for number, (name, settings) in enumerate(planned.items(), start=1):
        keras.utils.clear_session()
        row, scores[name] = _make_row(name, settings, command)
        if name == REFERENCE and name in rows and rows[name].measured != row.measured:
            rows = {n: without_difference(other) for n, other in rows.items()}
        rows[name] = row
        seconds = format_seconds(row) or "?"
        say(f"[{number}/{len(planned)}] {name}: {format_score(row)}, {seconds} s per meta-step")
        compared = compare({n: rows[n] for n in (*METHODS, *rows) if n in rows}, scores)
        write_files(compared, path, settings)
    return [row for row in compared if row.method in planned]


def _make_row(name: str, settings: Settings, command: str) -> tuple[Row, Scores | None]:
    """The row of a method and its scores; an error becomes the text of the row.

    Raises:
        InUseError: if another process is writing into the run folder; an earlier row is kept.
    """
    run = Run(Path(settings.runs_dir) / run_name(settings))
    try:
        result = train_and_evaluate(settings, run, command)
        scores = Scores(result, settings.num_test_inner_steps)
        return row_of(name, settings, run, scores), scores
    except InUseError:
        raise
    except (ValueError, tf.errors.OpError) as error:  # the other rows do not depend on it
        row = Row(
            method=name,
            published=published_in(PUBLISHED, name, settings),
            own=published_in(OWN_PAPERS, name, settings),
            failure=as_flags(str(error).splitlines()[0], without=LACKING_FLAGS),
        )
        return row, None


def _check_same_tasks(rows: Iterable[Row], settings: Settings, path: Path | str) -> None:
    """Raises ValueError if an earlier command wrote rows of other tasks to the same table."""
    task = task_name(settings, settings.num_shots)
    end = f"_seed{settings.seed}"
    for row in rows:
        if row.run is None:
            continue
        is_same = row.run.startswith(f"{task}_") and row.run.endswith(end)
        if not (is_same and row.split == _split(settings)):
            raise ValueError(
                f"{path}.csv must contain rows of the {_split(settings)} split of {task}, seed "
                f"{settings.seed}, so that rows can be added. Received: a row of the {row.split} "
                f"split of {row.run}. Name another table with `table_file`."
            )


def settings_of(given: Mapping[str, Any], name: str) -> Settings:
    """All settings of a row.

    The number of inner steps before the evaluation is the given one, else that of the method's own
    paper, else that of the MT-net paper.

    Args:
        given: values of some fields of `Settings`.
        name: of the method.

    Raises:
        ValueError: if the settings are not allowed.
    """
    settings = resolve({**given, "method": name})
    recipe = {}
    if settings.recipe == "authors":
        recipe = METHODS[name].recipe(settings.data_source, settings.num_ways)
    if "num_test_inner_steps" not in {**recipe, **given}:
        steps = EVALUATED_AFTER.get(column_of(settings), settings.num_test_inner_steps)
        return settings.replace(num_test_inner_steps=steps)
    return settings


def train_and_evaluate(settings: Settings, run: Run, command: str) -> Result:
    """Trains and evaluates a run, skipping what has already been done.

    Args:
        settings: of the run.
        run: its folder.
        command: the command line.

    Returns:
        The evaluation.

    Raises:
        ValueError: if the folder contains a run with other settings, or if training diverges.
    """
    if settings.resume and run.latest():
        check_same_run(settings, run.settings())
    train_run(settings, run, command, build_learner, say=_say_nothing, verbose=0)
    found = _find_evaluation(settings, run)
    if found is None:
        evaluate_run(settings, run, say=_say_nothing, verbose=0)
        found = read_results(run.path, _split(settings))[0]  # the newest
    return found


def _say_nothing(text: str) -> None:
    """Prints nothing: each row of a table is reported in one line."""


def _find_evaluation(settings: Settings, run: Run) -> Result | None:
    """The newest evaluation of the newest checkpoint with these settings."""
    split, newest = _split(settings), run.latest()
    if newest is None or not any(run.path.glob(f"{split}_*_episodes.csv")):
        return None
    for result in read_results(run.path, split):
        done = read_settings(result.record["settings"])
        if (
            result.file.stat().st_mtime > newest.stat().st_mtime
            and done.num_test_inner_steps >= settings.num_test_inner_steps
            and all(getattr(done, name) == getattr(settings, name) for name in _OF_AN_EVALUATION)
        ):
            return result
    return None


def _split(settings: Settings) -> str:
    return "test" if settings.use_test_split else "val"
