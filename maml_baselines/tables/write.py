"""The paper's tables, run again: every system trained, evaluated on the same episodes, compared."""

from pathlib import Path

import keras
import tensorflow as tf

from maml_baselines.methods import METHODS
from maml_baselines.resolving import build_learner, fits, resolve
from maml_baselines.tables.files import Row, read_rows, write_files
from maml_baselines.tables.published import EVALUATED_AFTER
from maml_baselines.tables.rows import (
    REFERENCE,
    Scores,
    column_of,
    compare,
    find_scores,
    published,
    row_of,
)
from mtnet_tf.experiments import (
    Run,
    check_same_run,
    evaluate_run,
    read_results,
    read_settings,
    run_name,
    task_name,
    train_run,
)

# An evaluation with other values of these, or of fewer inner steps, is another one.
_OF_AN_EVALUATION = (
    *("step_size", "num_shots", "num_queries", "seed"),
    *("num_meta_iterations", "checkpoint_iteration", "num_test_episodes"),
)


def methods_of(given):
    """Names of the systems that fit a data source, the reference first."""
    return [name for name, method in METHODS.items() if fits(method, given["data_source"])]


def write_table(given, methods, path, say, command):
    """Trains and evaluates what is missing, and writes the table after every row.

    Rows that an earlier command wrote to the same table stay, until they are made again.

    Args:
      given: dict of settings for all rows, `data_source` among them.
      methods: names of the systems; the others are compared with MT-net, which comes first.
      path: of the table, without ".csv", ".md" and, of its picture, ".png".
      say: function that prints a line.
      command: the command line, str.

    Returns:
      List of `Row`, of these methods.

    Raises:
      ValueError: before anything is trained, if settings make no sense for one of the rows, or if
        the file holds something else.
    """
    methods = sorted(dict.fromkeys(methods), key=lambda name: name != REFERENCE)
    planned = [(name, settings_of(given, name)) for name in methods]
    rows = {row.method: row for row in read_rows(path)}
    _check_same_tasks(rows.values(), planned[0][1], path)
    scores = {name: find_scores(row, planned[0][1].runs_dir) for name, row in rows.items()}
    for number, (name, settings) in enumerate(planned, start=1):
        run = Run(Path(settings.runs_dir) / run_name(settings))
        keras.utils.clear_session()
        scores[name] = None
        try:
            result = train_and_evaluate(settings, run, command)
            scores[name] = Scores(result, settings.num_test_inner_steps)
            row = row_of(name, settings, run, scores[name])
        except (ValueError, tf.errors.OpError) as error:  # must not cost the other rows
            reason = f"failed: {str(error).splitlines()[0]}"
            row = Row(name, **published(name, settings), measured=reason)
        rows[name] = row
        rows = {n: rows[n] for n in METHODS if n in rows}
        say(f"[{number}/{len(methods)}] {name}: {row.measured}, {row.seconds or '?'} s a meta-step")
        compared = compare(rows, scores)
        write_files(compared, path, settings)
    return [row for row in compared if row.method in methods]


def _check_same_tasks(rows, settings, path):
    """Raises ValueError if an earlier command wrote rows of other tasks to the same table."""
    task = task_name(settings, settings.num_shots)
    end = f"_seed{settings.seed}"
    for row in rows:
        is_same = row.run.startswith(f"{task}_") and row.run.endswith(end)
        if row.run and not (is_same and row.split == _split(settings)):
            raise ValueError(
                f"{path}.csv must hold rows of the {_split(settings)} split of {task}, seed "
                f"{settings.seed}, to be gone on with. Received: a row of the {row.split} split "
                f"of {row.run}. Name another table with `table_file`."
            )


def settings_of(given, name):
    """All settings of a row.

    It is evaluated after as many inner steps as the user says, else its own paper, else the MT-net
    paper.
    """
    settings = resolve({**given, "method": name})
    recipe = {}
    if settings.recipe == "authors":
        recipe = METHODS[name].recipe(settings.data_source, settings.num_ways)
    if "num_test_inner_steps" not in {**recipe, **given}:
        steps = EVALUATED_AFTER.get(column_of(settings), settings.num_test_inner_steps)
        return settings.replace(num_test_inner_steps=steps)
    return settings


def train_and_evaluate(settings, run, command):
    """Does what is not done yet.

    Args:
      settings: `Settings`.
      run: `Run`.
      command: the command line, str.

    Returns:
      `comparison.Result`.
    """

    def quiet(text):
        """Says nothing: a row of a table is one line."""

    options = {"say": quiet, "verbose": 0}
    if settings.resume and run.latest():
        check_same_run(settings, run.settings())
    train_run(settings, run, command, build_learner, **options)
    if _find_evaluation(settings, run) is None:
        evaluate_run(settings, run, **options)
    return _find_evaluation(settings, run)


def _find_evaluation(settings, run):
    """The newest one of the newest checkpoint with these settings, a `Result`, or None."""
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


def _split(settings):
    return "test" if settings.use_test_split else "val"
