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

import keras
import tensorflow as tf
from absl import app, flags

from data_prep import ensure_omniglot, load_packed
from mtnet_tf import reports, runs, training
from mtnet_tf.evaluation import evaluate
from mtnet_tf.learner import MetaLearner
from mtnet_tf.losses import FewShotCrossentropy
from mtnet_tf.networks import convolutional_network, dense_image_network, regression_network
from mtnet_tf.settings import AUTHORS, DEFAULTS, OURS, check_same_run, resolve
from mtnet_tf.tasks import ImageClasses, Polynomials, Sinusoids, split_classes

FLAGS = flags.FLAGS


def define_flags():
    """Defines a flag for every setting. What is not given (None) comes from the recipe."""
    kinds = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    for name, (default, text) in {**AUTHORS, **OURS}.items():
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


def build_tasks(settings, split):
    """The task distribution of a split: "train", "val" or "test"."""
    num_shots = settings["update_batch_size"]
    options = {"num_shots": num_shots, "task_definition": settings["task_definition"]}
    if settings["datasource"] == "sinusoid":
        return Sinusoids(oracle=settings["baseline"] == "oracle", **options)
    if settings["datasource"] == "polynomial":
        return Polynomials(settings["poly_order"], **options)
    if settings["datasource"] != "omniglot":
        raise ValueError(
            "--datasource must be sinusoid, polynomial or omniglot: miniimagenet has a network "
            f"and a recipe, but no data preparation yet. Received: {settings['datasource']!r}."
        )
    packed = load_packed(ensure_omniglot(settings["data_dir"], settings["synthetic"]))
    classes = split_classes(
        len(packed.counts),
        class_split=settings["class_split"],
        num_train_classes=settings["num_train_classes"],
    )
    return ImageClasses(
        packed.images,
        packed.counts,
        classes=getattr(classes, split),
        num_ways=settings["num_classes"],
        num_shots=num_shots,
        num_queries=num_shots,
        rotations=True,
    )


def build_network(settings, tasks):
    """The paper's network for these tasks."""
    mask = ("unit" if settings["share_M"] else "weight") if settings["use_M"] else None
    cells = {"transform": settings["use_T"], "mask": mask, "temperature": settings["temp"]}
    cells["hard_mask"] = not settings["soft_masks"]
    if mask == "unit":
        cells["mask_initializer"] = {
            "class_name": "Constant",
            "config": {"value": settings["logit_init"]},
        }
    options = {"norm": settings["norm"], "cell_options": cells, "seed": settings["seed"]}
    if not isinstance(tasks, ImageClasses):
        hidden = (settings["dim_hidden"],) * 2
        return regression_network(tasks.num_inputs, 1, dim_hidden=hidden, **options)
    if not settings["conv"]:
        return dense_image_network(tasks.image_shape, settings["num_classes"], **options)
    return convolutional_network(
        tasks.image_shape,
        settings["num_classes"],
        num_filters=settings["num_filters"],
        max_pool=settings["max_pool"],
        flatten=settings["datasource"] == "miniimagenet",
        **options,
    )


def compile_learner(learner, settings, optimizer=None):
    """(Re)compiles with the authors' optimizer, or a given one, and losses in their unit."""
    is_image = settings["datasource"] in ("omniglot", "miniimagenet")
    clip = 10.0 if settings["datasource"] == "miniimagenet" else None
    learner.compile(
        optimizer or keras.optimizers.Adam(settings["meta_lr"], epsilon=1e-8, clipvalue=clip),
        FewShotCrossentropy(settings["update_batch_size"]) if is_image else "mean_squared_error",
        metrics=["accuracy"] if is_image else None,
        jit_compile=settings["jit_compile"] and not settings["debug"],
        run_eagerly=settings["debug"],
    )
    return learner


def build_learner(settings, tasks):
    """A new learner, compiled."""
    learner = MetaLearner(
        build_network(settings, tasks),
        settings["update_lr"],
        settings["num_updates"],
        first_order=settings["stop_grad"],
        redraw_masks=settings["redraw_masks"],
        seed=settings["seed"],
    )
    return compile_learner(learner, settings)


def train(settings, run):
    """Trains to the end, from the newest checkpoint where there is one."""
    latest = run.latest() if settings["resume"] else None
    tasks, validation_tasks = build_tasks(settings, "train"), build_tasks(settings, "val")
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
        "max_steps_per_execution": 1 if isinstance(tasks, ImageClasses) else 100,
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
    checkpoint = run.find(settings["test_iter"])
    learner = runs.load_learner(checkpoint)
    iteration = int(learner.optimizer.iterations)
    learner.step_size = settings["update_lr"]
    compile_learner(learner, settings)
    say(f"Evaluating {checkpoint} (iteration {iteration}) on the {split} split")
    evaluation = evaluate(
        learner,
        build_tasks(settings, split),
        num_episodes=settings["num_test_episodes"],
        num_inner_steps=settings["num_test_updates"],
        seed=settings["seed"],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    say(reports.write(run, evaluation, settings, split, iteration))


def say(text):
    """Prints a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(argv):
    """Runs the command; returns the exit status."""
    try:
        if len(argv) > 1:
            raise ValueError(f"Expected flags only. Received: {argv[1:]}.")
        settings, run = read_settings()
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
