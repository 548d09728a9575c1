"""Meta-trains and evaluates: `python main.py --datasource=omniglot --use_T --use_M`.

A thin shell: flags become settings, settings become arguments of the library. The authors' flags
keep their names; this is the one place that translates them.
"""

import os
import shlex
import sys
from pathlib import Path

# TensorFlow's C++ side greets every process with notes on devices it doesn't find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from absl import app, flags, logging

from maml_baselines import METHODS, build_learner, resolve
from mtnet_tf.experiments import (
    ACTIONS,
    AUTHORS,
    DEFAULTS,
    IMAGES,
    OURS,
    Run,
    check_same_run,
    compare,
    evaluate_run,
    exit_status,
    help_of,
    load_learner,
    run_name,
    say,
    settings_table,
    train_run,
)
from mtnet_tf.pictures import Preparation, predict_pictures

FLAGS = flags.FLAGS


def define_flags():
    """Defines a flag for every setting. What is not given (None) comes from the recipe."""
    kinds = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    for name, (default, _) in {**AUTHORS, **OURS, **ACTIONS}.items():
        text = help_of(name) + (f": {', '.join(METHODS)}" if name == "method" else "")
        kinds.get(type(default), flags.DEFINE_string)(name, None, text)


def read_action():
    """What to do instead of training and evaluating, a name of `ACTIONS`; None for those.

    Raises:
      ValueError: for flags that don't go together.
    """
    given = [name for name in ACTIONS if FLAGS[name].value not in (None, False)]
    actions = [name for name in given if name in ("compare", "export_dir", "predict")]
    if len(actions) > 1:
        raise ValueError(f"--{actions[0]} and --{actions[1]} exclude each other; give one of them.")
    for name in given:
        if not FLAGS[name].value:
            raise ValueError(f"--{name} must not be empty.")
        if name in ("support", "query", "invert") and actions != ["predict"]:
            raise ValueError(f"--{name} goes with --predict, which is not given.")
    return actions[0] if actions else None


def read_settings(uses_run):
    """Every setting, checked, and the run folder. Raises ValueError with one clear sentence.

    Without training, what is not given is what the run was trained with.

    Args:
      uses_run: whether a trained run is used as it is, neither trained nor evaluated.
    """
    given = {n: FLAGS[n].value for n in DEFAULTS if FLAGS[n].value is not None}
    if uses_run:
        given["train"] = False
    settings = resolve(given)
    run = Run(settings["run"] or Path(settings["logdir"]) / run_name(settings))
    goes_on = settings["train"] and settings["resume"] and run.latest()
    if goes_on or not settings["train"]:
        trained = run.config()["settings"]
        settings = settings if settings["train"] else resolve({**trained, **given})
        check_same_run(settings, trained, evaluates=not settings["train"] and not uses_run)
    return settings, run


def compare_runs(paths):
    """The paired difference of two run folders, as a table."""
    if len(paths) != 2:
        raise ValueError(f"--compare needs two run folders. Received: {paths}.")
    return compare(*paths, split="val" if FLAGS["test_set"].value is False else "test")


def predict(settings, run):
    """Learns a user's own labels and predicts with them; the text to print."""
    inversion = {None: "auto", "auto": "auto", "true": True, "false": False}
    if FLAGS.support is None or FLAGS.query is None:
        raise ValueError(
            "--predict needs --support (a folder of pictures for each label) and --query (a "
            f"picture or a folder). Received: --support={FLAGS.support}, --query={FLAGS.query}."
        )
    if FLAGS.invert not in inversion:
        raise ValueError(f"--invert must be auto, true or false. Received: {FLAGS.invert}.")
    options = {"invert": inversion[FLAGS.invert], "iteration": settings["test_iter"]}
    return predict_pictures(run.path, FLAGS.support, FLAGS.query, **options)[1]


def export(settings, run):
    """Exports the best checkpoint, or that of --test_iter; the path."""
    # TensorFlow tells of every name that it changes.
    logging.set_verbosity(logging.WARNING)
    tf.get_logger().setLevel("WARNING")
    learner = load_learner(run.find(settings["test_iter"]))
    preparation = None
    if settings["datasource"] in IMAGES:
        shape = learner.model.input_shape[1:]
        resampling = (run.config().get("data") or {}).get("resampling")
        preparation = Preparation.of_run(settings, shape, resampling).describe()
    return learner.export(FLAGS.export_dir, preparation=preparation)


def run_command(argv):
    """Does what the flags say; returns the exit status."""
    action = read_action()
    if action == "compare":
        say(compare_runs([FLAGS.compare, *argv[1:]]))
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
    if settings["train"]:
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        train_run(settings, run, command, build_learner)
    evaluate_run(settings, run)
    return 0


def main(argv):
    """Runs the command; returns the exit status."""
    return exit_status("main.py", lambda: run_command(argv))


def parse(argv):
    """Parses flags; a wrong one is one sentence and exit status 2."""
    try:
        return FLAGS(argv)
    except flags.Error as error:
        sys.stderr.write(f"main.py: {error} `python main.py --help` lists the flags.\n")
        sys.exit(2)


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=parse)
