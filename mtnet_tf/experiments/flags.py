"""The command line's flags: the one table that maps them to the fields of `Settings`.

Used for parsing, for `--help` and for messages: the library's errors name fields, and `as_flags`
rewrites them for the command line. The authors' flags keep the authors' names.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mtnet_tf.experiments.recipes import DATA_SOURCES, recipe
from mtnet_tf.experiments.settings import DEFAULTS, Settings


class Flag(NamedTuple):
    """A flag.

    Attributes:
        field: of `Settings`.
        help: what `--help` says, without the default.
    """

    field: str
    help: str


# The authors' flags.
AUTHORS = {
    "datasource": Flag("data_source", "sinusoid, polynomial, omniglot, miniimagenet or folder"),
    "num_classes": Flag("num_ways", "number of ways, N"),
    "num_train_classes": Flag("num_train_classes", "training classes to use, -1 for all"),
    "baseline": Flag(
        "baseline",
        "joint training instead of meta-training: 'pretrained', or on sinusoids 'oracle', with "
        "the task's identity as input",
    ),
    "pretrain_iterations": Flag(
        "num_pretrain_iterations", "iterations of joint training before meta-training"
    ),
    "metatrain_iterations": Flag("num_meta_iterations", "meta-iterations"),
    "meta_batch_size": Flag("meta_batch_size", "tasks per meta-iteration"),
    "meta_lr": Flag("meta_learning_rate", "learning rate of the meta-step (beta)"),
    "update_batch_size": Flag("num_shots", "labelled examples per class and task, K"),
    "update_lr": Flag(
        "step_size", "step size of the inner loop (alpha), on the sum of losses over K"
    ),
    "num_updates": Flag("num_inner_steps", "inner steps in training"),
    "poly_order": Flag("polynomial_order", "order of the polynomials"),
    "use_T": Flag("use_transform", "cells T W instead of W"),
    "use_M": Flag("use_mask", "masks restrict the inner loop"),
    "share_M": Flag("unit_mask", "one mask entry per unit instead of one per weight"),
    "temp": Flag("temperature", "temperature of the Gumbel-Softmax"),
    "logit_init": Flag("initial_mask_logits", "initial mask logits of unit masks"),
    "norm": Flag("norm", "batch_norm, layer_norm or None"),
    "dim_hidden": Flag("hidden_units", "hidden units of the regression network"),
    "num_filters": Flag("num_filters", "filters of each convolution"),
    "conv": Flag("convolutional", "convolutional network; else a dense one"),
    "max_pool": Flag("max_pooling", "max pooling instead of strides"),
    "stop_grad": Flag("first_order", "first order: no second derivatives"),
    "log": Flag("write_summaries", "write TensorBoard summaries"),
    "logdir": Flag("runs_dir", "folder that holds the run folders"),
    "debug": Flag("run_eagerly", "run without compiling, to step through"),
    "resume": Flag("resume", "continue from the newest checkpoint"),
    "train": Flag("train", "train; else only evaluate"),
    "test_iter": Flag(
        "checkpoint_iteration", "meta-iteration to evaluate, -1 for the best on validation"
    ),
    "test_set": Flag("use_test_split", "evaluate on the test split; else on the validation split"),
    "train_update_batch_size": Flag(
        "trained_num_shots", "K in training, where it differs in evaluation"
    ),
    "train_update_lr": Flag(
        "trained_step_size", "step size in training, where it differs in evaluation"
    ),
}
OURS = {
    "method": Flag(
        "method",
        "a system of the paper's tables by its name, with its own published defaults, instead of "
        "--use_T, --use_M, ...",
    ),
    "recipe": Flag("recipe", "'authors': their experiment scripts; 'none': their bare defaults"),
    "seed": Flag("seed", "of initial values, tasks and masks"),
    "data_dir": Flag(
        "data_dir", "folder of the data sets; with --datasource=folder, of the images"
    ),
    "packed_dir": Flag(
        "packed_dir",
        "folder for packed copies of --datasource=folder; default: the user's cache",
    ),
    "image_size": Flag("image_size", "height and width of --datasource=folder"),
    "synthetic": Flag("synthetic", "procedurally drawn images instead of Omniglot or MiniImagenet"),
    "class_split": Flag("class_split", "'original' tests on the 100 classes, validates on the 423"),
    "task_definition": Flag(
        "task_definition", "regression tasks as in the authors' code, or the 'paper'"
    ),
    "soft_masks": Flag(
        "soft_masks", "soft masks, eq. 11 as written, instead of straight-through ones"
    ),
    "redraw_masks": Flag("redraw_masks", "new masks at each inner step"),
    "validate_every": Flag(
        "validation_interval",
        "meta-iterations between validations, 0 for about fifty in a long run",
    ),
    "num_queries": Flag(
        "num_queries", "query examples per class, 0 for as many as in the original"
    ),
    "num_train_ways": Flag(
        "num_train_ways", "ways in training, 0 for as many as in evaluation; of metric methods"
    ),
    "num_train_queries": Flag(
        "num_train_queries", "query images per class in training, 0 for the original's number"
    ),
    "num_test_episodes": Flag("num_test_episodes", "distinct episodes to evaluate"),
    "num_test_updates": Flag("num_test_inner_steps", "inner steps to evaluate"),
    "jit_compile": Flag("jit_compile", "compile the meta-step with XLA"),
    "tf32": Flag(
        "allow_tf32", "let an NVIDIA GPU round products to TF32; meta-gradients are off by percents"
    ),
    "run": Flag("run_dir", "run folder; default: a name in --logdir that says the settings"),
}
FLAGS = {**AUTHORS, **OURS}
FLAG_OF = {flag.field: name for name, flag in FLAGS.items()}

# What to do instead of training and evaluating, not part of a run's settings: default, help.
ACTIONS: dict[str, tuple[Any, str]] = {
    "compare": (None, "RUN_A RUN_B: paired difference of two evaluated run folders"),
    "export_dir": (None, "write the trained learner there, a SavedModel that learns"),
    "predict": (False, "learn the labels of --support and predict those of --query"),
    "support": (None, "folder with a folder of images for each label"),
    "query": (None, "image, or folder of images, to predict"),
    "invert": ("auto", "with --predict, exchange light and dark: auto, true or false"),
}


def default_of(name: str) -> Any:
    """The default of a flag or an action; of a flag, the authors' bare one."""
    return ACTIONS[name][0] if name in ACTIONS else DEFAULTS[FLAGS[name].field]


def help_of(name: str) -> str:
    """What `--help` says of a flag or an action: its text and its defaults."""
    if name in ACTIONS:
        return ACTIONS[name][1]
    field, text = FLAGS[name]
    default = DEFAULTS[field]
    if default is None:
        return text
    places: dict[str, list[str]] = {}
    for source in DATA_SOURCES:
        places.setdefault(str(recipe(source).get(field, default)), []).append(source)
    twenty = recipe("omniglot", 20).get(field, default)
    if twenty != recipe("omniglot").get(field, default):
        places.setdefault(str(twenty), []).append("omniglot 20-way")
    if len(places) > 1:
        parts = [f"{value} for {', '.join(sources)}" for value, sources in places.items()]
        return f"{text} (default: {'; '.join(parts)})"
    return f"{text} (default: {next(iter(places))})"


def fields_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by field, from values by flag; what has the name of a field already keeps it."""
    return {FLAGS[n].field if n in FLAGS else n: value for n, value in values.items()}


def read_settings(config: Mapping[str, Any]) -> Settings:
    """The settings in a run's config.json or an evaluation's JSON file.

    Version 0.1.0 wrote them under the names of the flags. What a later version no longer knows is
    left out.
    """
    known = fields_of(config)
    return Settings(**{name: value for name, value in known.items() if name in DEFAULTS})


def as_flags(message: str, further: Sequence[str] = ()) -> str:
    """An error message of the library, with flags in place of the fields that it names.

    `` `step_size` `` becomes `--update_lr`, and `Received: step_size=0.1` becomes
    `Received: --update_lr=0.1`.

    Args:
        message: message in which fields are in backticks, or follow "Received:".
        further: names that are flags of the program in addition to those of this module.
    """
    flag_of = {**FLAG_OF, **{name: name for name in (*ACTIONS, *further)}}
    names = "|".join(sorted(flag_of, key=len, reverse=True))
    message = re.sub(rf"`({names})(=[^`]*)?`", lambda m: f"--{flag_of[m[1]]}{m[2] or ''}", message)
    start, received, values = message.partition("Received: ")
    values = re.sub(rf"(?<![-\w`./])({names})=", lambda m: f"--{flag_of[m[1]]}=", values)
    return start + received + values
