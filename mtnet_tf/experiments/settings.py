"""The settings of a run: the authors' command-line flags under their names, and a few of ours."""

import math

from mtnet_tf.experiments import recipes

# name -> (bare default of the authors' command line, help)
AUTHORS = {
    "datasource": (
        "sinusoid",
        "sinusoid, polynomial, omniglot, miniimagenet or folder",
    ),
    "num_classes": (5, "number of ways, N"),
    "num_train_classes": (-1, "training classes to use, -1 for all"),
    "baseline": (
        None,
        "joint training instead of meta-training: 'pretrained', or on sinusoids 'oracle', with "
        "the task's identity as input",
    ),
    "pretrain_iterations": (0, "iterations of joint training before meta-training"),
    "metatrain_iterations": (15000, "meta-iterations"),
    "meta_batch_size": (25, "tasks per meta-iteration"),
    "meta_lr": (0.001, "learning rate of the meta-step (beta)"),
    "update_batch_size": (5, "labelled examples per class and task, K"),
    "update_lr": (0.001, "step size of the inner loop (alpha), on the sum of losses over K"),
    "num_updates": (1, "inner steps in training"),
    "poly_order": (1, "order of the polynomials"),
    "use_T": (False, "cells T W instead of W"),
    "use_M": (False, "masks restrict the inner loop"),
    "share_M": (False, "one mask entry per unit instead of one per weight"),
    "temp": (1.0, "temperature of the Gumbel-Softmax"),
    "logit_init": (0.0, "initial mask logits of unit masks"),
    "norm": ("batch_norm", "batch_norm, layer_norm or None"),
    "dim_hidden": (40, "hidden units of the regression network"),
    "num_filters": (64, "filters of each convolution"),
    "conv": (True, "convolutional network; else a dense one"),
    "max_pool": (False, "max pooling instead of strides"),
    "stop_grad": (False, "first order: no second derivatives"),
    "log": (True, "write TensorBoard summaries"),
    "logdir": ("/tmp/data", "folder that holds the run folders"),
    "debug": (False, "run without compiling, to step through"),
    "resume": (True, "go on from the newest checkpoint"),
    "train": (True, "train; else only evaluate"),
    "test_iter": (-1, "meta-iteration to evaluate, -1 for the best on validation"),
    "test_set": (False, "evaluate on the test split; else on the validation split"),
    "train_update_batch_size": (-1, "K in training, where it differs in evaluation"),
    "train_update_lr": (-1.0, "step size in training, where it differs in evaluation"),
}
# name -> (default, help)
OURS = {
    "method": (
        None,
        "a system of the paper's tables by its name, with its own published defaults, instead of "
        "--use_T, --use_M, ...",
    ),
    "recipe": ("authors", "'authors': their experiment scripts; 'none': their bare defaults"),
    "seed": (0, "of initial values, tasks and masks"),
    "data_dir": ("data", "folder of the data sets; with --datasource=folder, of the pictures"),
    "packed_dir": (
        None,
        "folder for packed copies of --datasource=folder; default: the user's cache",
    ),
    "image_size": (84, "height and width of --datasource=folder"),
    "synthetic": (False, "procedurally drawn pictures instead of Omniglot or MiniImagenet"),
    "class_split": ("maml", "'original' tests on the 100 classes, validates on the 423"),
    "task_definition": ("original", "regression tasks as in the authors' code, or the 'paper'"),
    "soft_masks": (False, "soft masks, eq. 11 as written, instead of straight-through ones"),
    "redraw_masks": (False, "new masks at each inner step"),
    "validate_every": (0, "meta-iterations between validations, 0 for about fifty in a long run"),
    "num_queries": (0, "query examples per class, 0 for as many as in the original"),
    "num_train_ways": (0, "ways in training, 0 for as many as in evaluation; of metric methods"),
    "num_train_queries": (0, "query pictures per class in training, 0 for the original's number"),
    "num_test_episodes": (600, "distinct episodes to evaluate"),
    "num_test_updates": (10, "inner steps to evaluate"),
    "jit_compile": (True, "compile the meta-step with XLA"),
    "tf32": (False, "let an NVIDIA GPU round products to TF32; meta-gradients are off by percents"),
    "run": (None, "run folder; default: a name in --logdir that says the settings"),
}
# What to do instead of training and evaluating; not part of a run's settings.
ACTIONS = {
    "compare": (None, "RUN_A RUN_B: paired difference of two evaluated run folders"),
    "export_dir": (None, "write the trained learner there, a SavedModel that learns"),
    "predict": (False, "learn the labels of --support and predict those of --query"),
    "support": (None, "folder with a folder of pictures for each label"),
    "query": (None, "picture, or folder of pictures, to predict"),
    "invert": ("auto", "with --predict, exchange light and dark: auto, true or false"),
}
DEFAULTS = {name: default for name, (default, _) in {**AUTHORS, **OURS}.items()}

# Values of `baseline`, all of which train without inner steps.
JOINT = ("oracle", "pretrained")
IMAGES = ("omniglot", "miniimagenet", "folder")
_CHOICES = {
    "recipe": ("authors", "none"),
    "baseline": (None, *JOINT),
    "norm": ("batch_norm", "layer_norm", "None"),
    "class_split": ("maml", "original"),
    "task_definition": ("original", "paper"),
}
_POSITIVE = (
    "num_classes",
    "image_size",
    "meta_batch_size",
    "meta_lr",
    "update_batch_size",
    "update_lr",
    "temp",
    "dim_hidden",
    "num_filters",
    "num_test_episodes",
)
_NOT_NEGATIVE = (
    "metatrain_iterations",
    "pretrain_iterations",
    "num_updates",
    "poly_order",
    "seed",
    "validate_every",
    "num_test_updates",
    "num_queries",
    "num_train_ways",
    "num_train_queries",
)


def help_of(name):
    """What `--help` says of a setting or an action: its text and its defaults."""
    default, text = {**AUTHORS, **OURS, **ACTIONS}[name]
    places = {}
    for source in recipes.DATA_SOURCES:
        value = {name: default, **recipes.recipe(source)}[name]
        places.setdefault(str(value), []).append(source)
    twenty = {name: default, **recipes.recipe("omniglot", 20)}[name]
    if twenty != {name: default, **recipes.recipe("omniglot")}[name]:
        places.setdefault(str(twenty), []).append("omniglot 20-way")
    if default is None or name in ACTIONS:
        return text
    if len(places) > 1:
        parts = [f"{value} for {', '.join(sources)}" for value, sources in places.items()]
        return f"{text} (default: {'; '.join(parts)})"
    return f"{text} (default: {next(iter(places))})"


def resolve(given):
    """The value of every setting: what is given, else the recipe's, else the default.

    Args:
      given: dict of the settings that the user gave.

    Returns:
      Dict with a value for every name of `DEFAULTS`.

    Raises:
      ValueError: for a value that makes no sense, in one sentence.
    """
    settings = {**DEFAULTS, **given}
    check(settings)
    if settings["recipe"] == "authors":
        recipe = recipes.recipe(settings["datasource"], settings["num_classes"])
        settings = {**DEFAULTS, **recipe, **given}
    return settings


def check(settings):
    """Raises ValueError for the first setting that makes no sense."""
    for name, choices in _CHOICES.items():
        if settings[name] not in choices:
            raise ValueError(f"--{name} must be one of {choices}. Received: {settings[name]!r}.")
    for name in _POSITIVE:
        if not 0 < settings[name] < math.inf:
            raise ValueError(f"--{name} must be positive. Received: {settings[name]}.")
    for name in _NOT_NEGATIVE:
        if settings[name] < 0:
            raise ValueError(f"--{name} must not be negative. Received: {settings[name]}.")
    if settings["num_train_classes"] != -1 and settings["num_train_classes"] < 2:
        raise ValueError(
            "--num_train_classes must be at least 2, or -1 for all. "
            f"Received: {settings['num_train_classes']}."
        )
    if settings["baseline"] == "oracle" and settings["datasource"] != "sinusoid":
        raise ValueError("--baseline=oracle needs --datasource=sinusoid, as in the original.")
    if settings["datasource"] in IMAGES and settings["num_classes"] < 2:
        raise ValueError("--num_classes must be at least 2. Received: 1.")
    if settings["num_test_episodes"] < 2:
        raise ValueError(
            "--num_test_episodes must be at least 2: one score has no interval. Received: 1."
        )
    for name in ("train_update_lr", "train_update_batch_size"):
        if settings["train"] and settings[name] > 0:
            raise ValueError(
                f"--{name} says how a run was trained and goes with --train=False; to train with "
                f"it, give --{name.removeprefix('train_')}."
            )
    if settings["synthetic"] and settings["datasource"] not in ("omniglot", "miniimagenet"):
        raise ValueError(
            "--synthetic stands in for Omniglot or MiniImagenet: add --datasource=omniglot."
        )


# What may change from one command on a run folder to the next, and what evaluation may change.
_FREE = {
    *("train", "resume", "run", "logdir", "log", "debug", "jit_compile", "tf32", "data_dir"),
    *("recipe", "metatrain_iterations", "pretrain_iterations", "validate_every"),
    *("packed_dir", "test_iter", "test_set", "num_test_episodes", "num_test_updates"),
    *("train_update_lr", "train_update_batch_size"),
}
_FREE_IN_EVALUATION = {
    *("update_lr", "update_batch_size", "num_queries", "seed", "num_updates", "meta_batch_size"),
}


def check_same_run(settings, trained, *, evaluates=False):
    """Refuses settings that a run folder was not trained with.

    Args:
      settings: of this command.
      trained: of the run folder.
      evaluates: whether the run is only evaluated, which may go another way than training.

    Raises:
      ValueError: names the first difference, in one sentence.
    """
    free = _FREE | _FREE_IN_EVALUATION if evaluates else _FREE
    for name in DEFAULTS.keys() & trained.keys() - free:
        if settings[name] != trained[name]:
            raise ValueError(
                f"--{name} must be {trained[name]}, as the run in this folder was trained. "
                f"Received: {settings[name]}. Name another folder with --run or --logdir, or "
                "train anew with --resume=False."
            )
