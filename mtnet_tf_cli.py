"""The command line of this project: `mtnet-tf --datasource=omniglot --use_T --use_M`.

Combines the methods of `maml_baselines` with the experiments of `mtnet_tf`, and therefore lies
above both packages. The installed command `mtnet-tf` and `python main.py` both run it.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mtnet_tf.experiments import Settings

# TensorFlow's C++ side greets every process with notes on devices it doesn't find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from absl import app, flags, logging

from maml_baselines import METHODS, build_learner, resolve
from mtnet_tf.experiments import (
    ACTIONS,
    FLAGS,
    Run,
    check_same_run,
    compare,
    default_of,
    evaluate_run,
    exit_status,
    fields_of,
    help_of,
    load_learner,
    run_name,
    say,
    settings_table,
    train_run,
)
from mtnet_tf.pictures import Preparation, predict_pictures

VALUES = flags.FLAGS


def define_flags() -> None:
    """Defines a flag for every setting. What is not given (None) comes from the recipe."""
    kinds = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    for name in (*FLAGS, *ACTIONS):
        text = help_of(name) + (f": {', '.join(METHODS)}" if name == "method" else "")
        kinds.get(type(default_of(name)), flags.DEFINE_string)(name, None, text)


def read_action() -> str | None:
    """What to do instead of training and evaluating, a name of `ACTIONS`; None for those.

    Raises:
        ValueError: for flags that don't go together.
    """
    given = [name for name in ACTIONS if VALUES[name].value not in (None, False)]
    actions = [name for name in given if name in ("compare", "export_dir", "predict")]
    if len(actions) > 1:
        raise ValueError(f"--{actions[0]} and --{actions[1]} exclude each other; give one of them.")
    for name in given:
        if not VALUES[name].value:
            raise ValueError(f"--{name} must not be empty.")
        if name in ("support", "query", "invert") and actions != ["predict"]:
            raise ValueError(f"--{name} goes with --predict, which is not given.")
    return actions[0] if actions else None


def read_settings(uses_run: bool) -> tuple[Settings, Run]:
    """Every setting, checked, and the run folder. Raises ValueError with one clear sentence.

    Without training, what is not given is what the run was trained with.

    Args:
        uses_run: whether a trained run is used as it is, neither trained nor evaluated.
    """
    given = fields_of({n: VALUES[n].value for n in FLAGS if VALUES[n].value is not None})
    if uses_run:
        given["train"] = False
    settings = resolve(given)
    run = Run(settings.run_dir or Path(settings.runs_dir) / run_name(settings))
    continues = settings.train and settings.resume and run.latest()
    if continues or not settings.train:
        trained = run.settings()
        if not settings.train:
            settings = resolve({**trained.as_dict(), **given})
        check_same_run(settings, trained, evaluates=not settings.train and not uses_run)
    return settings, run


def compare_runs(paths: Sequence[str]) -> str:
    """The paired difference of two run folders, as a table."""
    if len(paths) != 2:
        raise ValueError(f"--compare needs two run folders. Received: {paths}.")
    return compare(*paths, split="val" if VALUES["test_set"].value is False else "test")


def predict(settings: Settings, run: Run) -> str:
    """Learns a user's own labels and predicts with them; the text to print."""
    inversion = {None: "auto", "auto": "auto", "true": True, "false": False}
    if VALUES.support is None or VALUES.query is None:
        raise ValueError(
            "--predict needs --support (a folder of pictures for each label) and --query (a "
            f"picture or a folder). Received: --support={VALUES.support}, --query={VALUES.query}."
        )
    if VALUES.invert not in inversion:
        raise ValueError(f"--invert must be auto, true or false. Received: {VALUES.invert}.")
    options = {"invert": inversion[VALUES.invert], "iteration": settings.checkpoint_iteration}
    return predict_pictures(run.path, VALUES.support, VALUES.query, **options)[1]


def export(settings: Settings, run: Run) -> Path:
    """Exports the best checkpoint, or that of --test_iter; the path."""
    # TensorFlow tells of every name that it changes.
    logging.set_verbosity(logging.WARNING)
    tf.get_logger().setLevel("WARNING")
    learner = load_learner(run.find(settings.checkpoint_iteration))
    preparation = None
    if settings.is_image:
        shape = learner.model.input_shape[1:]
        resampling = (run.config().get("data") or {}).get("resampling")
        preparation = Preparation.of_run(settings, shape, resampling).describe()
    return learner.export(VALUES.export_dir, preparation=preparation)


def run_command(argv: Sequence[str]) -> int:
    """Does what the flags say; returns the exit status."""
    action = read_action()
    if action == "compare":
        say(compare_runs([VALUES.compare, *argv[1:]]))
        return 0
    if len(argv) > 1:
        raise ValueError(f"Expected flags only. Received: {argv[1:]}.")
    settings, run = read_settings(uses_run=action is not None)
    if action == "predict":
        say(predict(settings, run))
        return 0
    if action == "export_dir":
        say(f"Exported to {export(settings, run)}")
        return 0
    say(settings_table(settings, run.path))
    if settings.train:
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        train_run(settings, run, command, build_learner)
    evaluate_run(settings, run)
    return 0


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    return exit_status("main.py", lambda: run_command(argv))


def parse(argv: Sequence[str]) -> list[str]:
    """Parses flags; a wrong one is one sentence and exit status 2."""
    try:
        return VALUES(argv)
    except flags.Error as error:
        sys.stderr.write(f"main.py: {error} `python main.py --help` lists the flags.\n")
        sys.exit(2)


def run_main() -> None:
    """Entry point: parses the flags of the process and does what they say."""
    define_flags()
    app.run(main, flags_parser=parse)
