"""Meta-trains and evaluates: `python main.py --datasource=omniglot --use_T --use_M`.

A thin shell: flags become settings, settings become arguments of the library. The authors' flags
keep their names; this is the one place that translates them.
"""

import math
import os
import shlex
import sys
from pathlib import Path

# TensorFlow's C++ side greets every process with notes on devices it doesn't find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from absl import app, flags, logging

from mtnet_tf import evaluation_report, plots, reports, runs, training
from mtnet_tf.analysis import active_fraction, regression_curves
from mtnet_tf.comparison import compare
from mtnet_tf.datasets import find_leaks, load_pictures, load_tasks
from mtnet_tf.evaluation import evaluate
from mtnet_tf.experiment import build_learner, compile_learner
from mtnet_tf.prediction import predict_pictures
from mtnet_tf.preparation import Preparation
from mtnet_tf.settings import ACTIONS, AUTHORS, DEFAULTS, IMAGES, OURS, check_same_run, resolve

FLAGS = flags.FLAGS
VALIDATION_EPISODES = 100


def define_flags():
    """Defines a flag for every setting. What is not given (None) comes from the recipe."""
    kinds = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    for name, (default, text) in {**AUTHORS, **OURS, **ACTIONS}.items():
        kinds.get(type(default), flags.DEFINE_string)(name, None, text)


def read_settings():
    """Every setting, checked, and the run folder. Raises ValueError with one clear sentence.

    Without training, what is not given is what the run was trained with.
    """
    given = {n: FLAGS[n].value for n in DEFAULTS if FLAGS[n].value is not None}
    settings = resolve(given)
    run = runs.Run(settings["run"] or Path(settings["logdir"]) / reports.run_name(settings))
    goes_on = settings["train"] and settings["resume"] and run.latest()
    if goes_on or not settings["train"]:
        trained = run.config()["settings"]
        settings = settings if settings["train"] else resolve({**trained, **given})
        check_same_run(settings, trained)
    return settings, run


def train(settings, run):
    """Trains to the end, from the newest checkpoint where there is one."""
    latest = run.latest() if settings["resume"] else None
    tasks, validation_tasks = load_tasks(settings, "train"), load_tasks(settings, "val")
    if latest:
        learner = runs.load_learner(latest)
        compile_learner(learner, settings, learner.optimizer)
        say(f"Resuming from {latest}")
    else:
        run.clear()
        learner = build_learner(settings, tasks)
    total = settings["pretrain_iterations"] + settings["metatrain_iterations"]
    if int(learner.optimizer.iterations) >= total:
        return
    run.start(settings, shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    options = {
        "meta_batch_size": settings["meta_batch_size"],
        "validate_every": settings["validate_every"] or training.default_interval(total),
        # The best of fifty checkpoints is chosen on these: enough to tell them apart.
        "num_validation_batches": max(
            5, math.ceil(VALIDATION_EPISODES / settings["meta_batch_size"])
        ),
        "max_steps_per_execution": 1 if settings["datasource"] in IMAGES else 100,
        "title": reports.title(settings),
        "summaries": settings["log"],
        "verbose": 1 if sys.stdout.isatty() else 2,
    }
    # Joint training is a meta-step without inner steps.
    joint = total if settings["baseline"] == "oracle" else settings["pretrain_iterations"]
    learner.num_inner_steps = 0
    training.train(learner, tasks, validation_tasks, run, num_iterations=joint, **options)
    learner.num_inner_steps = settings["num_updates"]
    training.train(learner, tasks, validation_tasks, run, num_iterations=total, **options)


def test(settings, run):
    """Evaluates a checkpoint, prints and writes the report."""
    split = "test" if settings["test_set"] else "val"
    run.refuse_choosing(split, settings["test_iter"])
    checkpoint = run.find(settings["test_iter"])
    learner = runs.load_learner(checkpoint)
    iteration = int(learner.optimizer.iterations)
    learner.step_size = settings["update_lr"]
    compile_learner(learner, settings)
    say(f"Evaluating {checkpoint} (iteration {iteration}) on the {split} split")
    evaluation = evaluate(
        learner,
        load_tasks(settings, split),
        num_episodes=settings["num_test_episodes"],
        num_inner_steps=settings["num_test_updates"],
        seed=settings["seed"],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    extras = {"active_fraction": active_fraction(learner.model)}
    names = None
    if settings["datasource"] in IMAGES:
        names = load_pictures(settings, split).packed.class_names
        extras["leaks"] = check_leaks(settings, split)
    else:
        curves = regression_curves(learner, load_tasks(settings, split, curves=True))
        heading = f"{reports.title(settings)}; a task may change {extras['active_fraction']:.0%}"
        plots.plot_regression(curves, run.path / f"{split}_curves.png", f"{heading} of W and b")
    say(
        evaluation_report.write(
            run, evaluation, settings, split, iteration, class_names=names, extras=extras
        )
    )
    say(f"Fraction of the weights that a task may change: {extras['active_fraction']:.3f}")


def check_leaks(settings, split):
    """Says what the splits share; returns it, a list of sentences."""
    overlap = find_leaks(settings)
    shared = [name for name, *splits in overlap.classes if split in splits]
    shared += [
        twins for twins in overlap.across if split in (twins.first_split, twins.second_split)
    ]
    verdict = f"Checked: no class and no picture of the {split} split is in another split."
    if shared:
        verdict = (
            f"WARNING: {len(shared)} classes or pictures of the {split} split are in another split "
            "too; what a network has seen in training it need not learn from a few examples."
        )
    say("\n".join([verdict, *overlap.lines()]))
    return [verdict, *overlap.lines()]


def compare_runs(paths):
    """The paired difference of two run folders, as a table."""
    if len(paths) != 2:
        raise ValueError(f"--compare needs two run folders. Received: {paths}.")
    return compare(*paths, split="val" if FLAGS["test_set"].value is False else "test")


def predict(run):
    """Learns a user's own labels and predicts with them; the text to print."""
    inversion = {None: "auto", "auto": "auto", "true": True, "false": False}
    if FLAGS.support is None or FLAGS.query is None:
        raise ValueError(
            "--predict needs --support (a folder of pictures for each label) and --query (a "
            f"picture or a folder). Received: --support={FLAGS.support}, --query={FLAGS.query}."
        )
    if FLAGS.invert not in inversion:
        raise ValueError(f"--invert must be auto, true or false. Received: {FLAGS.invert}.")
    options = {"invert": inversion[FLAGS.invert], "sheet": "contact_sheet.png"}
    return predict_pictures(run.path, FLAGS.support, FLAGS.query, **options)[1]


def export(settings, run):
    """Exports the best checkpoint, or that of --test_iter; the path."""
    # TensorFlow tells of every name that it changes.
    logging.set_verbosity(logging.WARNING)
    tf.get_logger().setLevel("WARNING")
    learner = runs.load_learner(run.find(settings["test_iter"]))
    preparation = None
    if settings["datasource"] in IMAGES:
        shape = learner.model.input_shape[1:]
        preparation = Preparation.of_run(settings, shape).describe()
    return learner.export(FLAGS.export_dir, preparation=preparation)


def say(text):
    """Prints a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(argv):
    """Runs the command; returns the exit status."""
    try:
        if FLAGS.compare:
            say(compare_runs([FLAGS.compare, *argv[1:]]))
            return 0
        if len(argv) > 1:
            raise ValueError(f"Expected flags only. Received: {argv[1:]}.")
        if FLAGS.predict or FLAGS.export_dir:
            FLAGS["train"].value = False  # what is used is a trained run
        settings, run = read_settings()
        if FLAGS.predict:
            say(predict(run))
            return 0
        if FLAGS.export_dir:
            say(f"Exported to {export(settings, run)}")
            return 0
        say(reports.settings_table(settings, run.path))
        tf.config.experimental.enable_tensor_float_32_execution(settings["tf32"])
        if settings["train"]:
            train(settings, run)
        test(settings, run)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"main.py: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; the same command goes on from here.\n")
        return 130
    return 0


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
