"""Trains and evaluates MT-nets, T-nets and other few-shot methods.

    mtnet-tf --datasource=omniglot --use_T --use_M     trains, then evaluates
    mtnet-tf --train=False --run=RUN                   evaluates again
    mtnet-tf --compare RUN_A RUN_B                     compares two evaluated runs
    mtnet-tf --predict --run=RUN --support=A --query=B predicts labels of your own images
    mtnet-tf --export_dir=FOLDER --run=RUN             exports a trained learner

RUN is a run folder, whose path is printed when the run starts. To resume an interrupted run, repeat
the same command. In a checkout, `python main.py` is equivalent to `mtnet-tf`.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging

from data_prep.io import keep_freed_memory, make_output_readable, quiet_start, user_path

with quiet_start(Path(sys.argv[0]).name):
    import tensorflow as tf

    from maml_baselines import METHODS, build_learner, resolve
    from mtnet_tf.experiments import (
        ACTIONS,
        FLAGS,
        Devices,
        Run,
        Settings,
        as_flags,
        check_same_run,
        compare,
        default_of,
        evaluate_run,
        exit_status,
        fields_of,
        help_of,
        load_compiled_programs,
        load_learner,
        run_name,
        say,
        settings_table,
        start_compilation_cache,
        train_run,
    )
    from mtnet_tf.learners import MetaLearner
    from mtnet_tf.pictures import Preparation, predict_pictures

VALUES = flags.FLAGS


def program() -> str:
    """The name under which the program was started: mtnet-tf or main.py."""
    return Path(sys.argv[0]).name


def define_flags() -> None:
    """Defines all flags. A flag that is not given is None, since its default depends on others."""
    kinds = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    for name in (*FLAGS, *ACTIONS):
        text = help_of(name) + (f". One of: {', '.join(METHODS)}" if name == "method" else "")
        define = kinds.get(type(default_of(name)), flags.DEFINE_string)
        # `--help` lists the flags of the main module only.
        define(name, None, text, module_name=sys.argv[0])


def read_action() -> str | None:
    """The requested action, one of `ACTIONS`; None for training and evaluation.

    Raises:
        ValueError: for flags that cannot be combined.
    """
    given = [name for name in ACTIONS if VALUES[name].value not in (None, False)]
    actions = [name for name in given if name in ("compare", "export_dir", "predict")]
    if len(actions) > 1:
        raise ValueError(f"--{actions[0]} and --{actions[1]} cannot be combined. Give one of them.")
    for name in given:
        if not VALUES[name].value:
            raise ValueError(f"--{name} must not be empty.")
        if name in ("support", "query", "invert") and actions != ["predict"]:
            raise ValueError(f"--{name} requires --predict.")
    return actions[0] if actions else None


def read_settings(uses_run: bool) -> tuple[Settings, Run]:
    """The settings and the run folder.

    Without training, settings that are not given are those of the trained run.

    Args:
        uses_run: whether a trained run is only used, for a prediction or an export.

    Returns:
        Pair (`Settings`, `Run`).

    Raises:
        ValueError: for a wrong value, or one that differs from the trained run.
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
    """The paired difference of two run folders, as a table.

    Args:
        paths: the two run folders.
    """
    if len(paths) != 2:
        raise ValueError(f"--compare requires two run folders. Received: {paths}.")
    return compare(*paths, split="val" if VALUES["test_set"].value is False else "test")


def predict(settings: Settings, run: Run) -> str:
    """Learns the labels of --support and predicts those of --query; returns the text to print."""
    inversion = {None: "auto", "auto": "auto", "true": True, "false": False}
    if VALUES.support is None or VALUES.query is None:
        raise ValueError(
            "--predict requires --support (a folder of images for each label) and --query (an "
            f"image or a folder). Received: --support={VALUES.support}, --query={VALUES.query}."
        )
    invert = VALUES.invert and VALUES.invert.lower()
    if invert not in inversion:
        raise ValueError(f"--invert must be auto, true or false. Received: {VALUES.invert}.")
    options = {"invert": inversion[invert], "iteration": settings.checkpoint_iteration}
    # The text names the argument that decides whether images are inverted.
    return as_flags(predict_pictures(run.path, VALUES.support, VALUES.query, **options)[1])


def export(settings: Settings, run: Run) -> Path:
    """Exports the best checkpoint, or that of --test_iter; returns the path."""
    # TensorFlow logs every name that it changes in the export.
    logging.set_verbosity(logging.WARNING)
    tf.get_logger().setLevel("WARNING")
    learner = load_learner(run.find(settings.checkpoint_iteration))
    if not isinstance(learner, MetaLearner):
        raise ValueError(
            "--export_dir requires a run of a method that adapts weights. "
            f"Received: {run.path}, a run of --method={settings.method}."
        )
    preparation = None
    if settings.is_image:
        shape = learner.model.input_shape[1:]
        resampling = (run.config().get("data") or {}).get("resampling")
        preparation = Preparation.of_run(settings, shape, resampling).describe()
    folder = user_path(VALUES.export_dir)
    learner.export(folder, preparation=preparation)
    return folder


def run_command(argv: Sequence[str]) -> int:
    """Runs the requested action; returns the exit status."""
    action = read_action()
    if action == "compare":
        say(compare_runs([VALUES.compare, *argv[1:]]))
        return 0
    if len(argv) > 1:
        raise ValueError(f"Only flags are accepted as arguments. Received: {argv[1:]}.")
    settings, run = read_settings(uses_run=action is not None)
    load_compiled_programs(settings)
    if action == "predict":
        say(predict(settings, run))
        return 0
    if action == "export_dir":
        say(f"Exported to {export(settings, run)}")
        return 0
    tf.get_logger().setLevel("WARNING")  # a strategy logs every kind of reduction
    devices = Devices.of(settings.distribute, settings.num_devices)
    if devices.is_chief:
        say(settings_table(settings, run.path))
    if settings.train:
        command = shlex.join([program(), *sys.argv[1:]])
        train_run(settings, run, command, build_learner, devices=devices)
    evaluate_run(settings, run, devices=devices)
    return 0


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    return exit_status(program(), lambda: run_command(argv))


def parse(argv: Sequence[str]) -> list[str]:
    """Parses flags; for an invalid flag, prints one sentence and exits with status 2."""
    try:
        return VALUES(argv)
    except flags.Error as error:
        sys.stderr.write(f"{program()}: {error} `{program()} --help` lists the flags.\n")
        sys.exit(2)


def parse_and_start(argv: Sequence[str]) -> list[str]:
    """Parses flags and starts the cache of compiled programs, before TensorFlow lists devices.

    `app.run` lists them: TensorFlow has registered a function that absl calls after parsing.
    """
    arguments = parse(argv)
    start_compilation_cache(VALUES.compilation_cache)
    return arguments


def run_main() -> None:
    """Entry point of `mtnet-tf` and `main.py`."""
    keep_freed_memory()
    make_output_readable()
    sys.modules["__main__"].__doc__ = __doc__  # absl prints it above the flags
    define_flags()
    app.run(main, flags_parser=parse_and_start)
