"""The command line's flags, and settings from the names of flags or fields.

`FLAGS` is the one table that maps flags to the fields of `Settings`. It is used for parsing, for
`--help` and for messages: the library's errors name fields, and `as_flags` rewrites them for the
command line. The authors' flags keep the authors' names.
"""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mtnet_tf.experiments.recipes import DATA_SOURCES, recipe
from mtnet_tf.experiments.settings import DEFAULTS, Settings


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag that sets a field of `Settings`.

    Attributes:
        field: name of the field.
        help: the text of `--help`, without the default.
    """

    field: str
    help: str


@dataclasses.dataclass(frozen=True)
class Action:
    """A flag that is not a setting of a run: an action, its argument, or an option of the process.

    Attributes:
        default: value of the flag if it is not given.
        help: the text of `--help`.
    """

    default: str | bool | None
    help: str


# The authors' flags.
AUTHORS = {
    "datasource": Flag(
        "data_source",
        f"the tasks: {', '.join(DATA_SOURCES)}; folder stands for your own images",
    ),
    "num_classes": Flag("num_ways", "number of classes in a task (N-way)"),
    "num_train_classes": Flag(
        "num_train_classes", "number of training classes to use; -1 for all of them"
    ),
    "baseline": Flag(
        "baseline",
        "'pretrained': train jointly on all tasks instead of meta-training; 'oracle' (sinusoids "
        "only): the same, with the amplitude and phase of the task as additional inputs",
    ),
    "pretrain_iterations": Flag(
        "num_pretrain_iterations", "number of iterations of joint training before meta-training"
    ),
    "metatrain_iterations": Flag("num_meta_iterations", "number of meta-iterations"),
    "meta_batch_size": Flag("meta_batch_size", "number of tasks in a meta-iteration"),
    "meta_lr": Flag("meta_learning_rate", "learning rate of the meta-step (beta)"),
    "update_batch_size": Flag(
        "num_shots", "number of support examples per class (K-shot); in regression, per task"
    ),
    "update_lr": Flag(
        "step_size",
        "step size of the inner loop (alpha), for a loss that is averaged over the K examples of "
        "a class and summed over classes",
    ),
    "num_updates": Flag("num_inner_steps", "number of inner steps in training"),
    "poly_order": Flag("polynomial_order", "order of the polynomials"),
    "use_T": Flag("use_transform", "add a transformation T to each layer (T-net, MT-net)"),
    "use_M": Flag("use_mask", "learn masks that select the weights that a task changes (MT-net)"),
    "share_M": Flag("unit_mask", "use one mask entry per unit instead of one per weight"),
    "temp": Flag("temperature", "temperature of the Gumbel-Softmax samples of the masks"),
    "logit_init": Flag(
        "initial_mask_logits", "initial value of the mask logits, if there is one per unit"
    ),
    "norm": Flag("norm", "normalisation: batch_norm, layer_norm or None"),
    "dim_hidden": Flag(
        "hidden_units", "number of units in each hidden layer of the regression network"
    ),
    "num_filters": Flag("num_filters", "number of filters of each convolution"),
    "conv": Flag(
        "convolutional", "use the convolutional network; --conv=False uses a dense network"
    ),
    "max_pool": Flag("max_pooling", "halve the images by max pooling instead of by strides"),
    "stop_grad": Flag("first_order", "omit second derivatives (first-order approximation)"),
    "log": Flag("write_summaries", "write summaries for TensorBoard"),
    "logdir": Flag("runs_dir", "folder that contains the run folders"),
    "debug": Flag("run_eagerly", "run eagerly, so that a debugger can step through the code"),
    "resume": Flag(
        "resume", "continue from the newest checkpoint; --resume=False trains from the start"
    ),
    "train": Flag("train", "train, then evaluate; --train=False only evaluates"),
    "test_iter": Flag(
        "checkpoint_iteration",
        "meta-iteration of the checkpoint to evaluate; -1 for the best on the validation split",
    ),
    "test_set": Flag(
        "use_test_split",
        "evaluate on the test split; --test_set=False evaluates on the validation split",
    ),
    "train_update_batch_size": Flag(
        "trained_num_shots",
        "with --train=False: the number of shots in training, if it differs from "
        "--update_batch_size; -1 if it is the same",
    ),
    "train_update_lr": Flag(
        "trained_step_size",
        "with --train=False: the step size in training, if it differs from --update_lr; -1 if "
        "it is the same",
    ),
}
OURS = {
    "method": Flag(
        "method",
        "train one of the methods in the paper's tables with its published settings, instead of "
        "choosing --use_T, --use_M, --share_M, --stop_grad or --baseline",
    ),
    "recipe": Flag(
        "recipe",
        "source of the default values: 'authors' for the authors' experiment scripts, 'none' for "
        "the defaults of their command line",
    ),
    "seed": Flag("seed", "seed of initial weights, tasks and masks"),
    "data_dir": Flag(
        "data_dir", "folder that contains the data sets; with --datasource=folder, your images"
    ),
    "packed_dir": Flag(
        "packed_dir",
        "with --datasource=folder: folder for packed copies of your images; default: the user's "
        "cache folder",
    ),
    "image_size": Flag("image_size", "with --datasource=folder: height and width of the images"),
    "synthetic": Flag("synthetic", "use synthetic images instead of Omniglot or MiniImagenet"),
    "class_split": Flag(
        "class_split",
        "split of Omniglot's classes: 'maml' validates on 100 and tests on 423; 'original' "
        "validates on 423 and tests on 100, as the authors' code does",
    ),
    "task_definition": Flag(
        "task_definition",
        "regression tasks: 'original' as in the authors' code, 'paper' as in the paper",
    ),
    "soft_masks": Flag(
        "soft_masks", "use soft masks, as in eq. 11, instead of binary straight-through masks"
    ),
    "redraw_masks": Flag(
        "redraw_masks", "draw new masks at each inner step instead of once per task"
    ),
    "validate_every": Flag(
        "validation_interval",
        "number of meta-iterations between validations; 0 for about fifty validations in a long "
        "run",
    ),
    "num_queries": Flag(
        "num_queries",
        "number of query examples per class (per task in regression); 0 for the authors' value",
    ),
    "num_train_ways": Flag(
        "num_train_ways",
        "number of classes in a training task, for metric methods; 0 for the value of "
        "--num_classes",
    ),
    "num_train_queries": Flag(
        "num_train_queries",
        "number of query images per class in training; 0 for the value of --num_queries",
    ),
    "num_test_episodes": Flag("num_test_episodes", "number of distinct episodes to evaluate"),
    "num_test_updates": Flag("num_test_inner_steps", "number of inner steps in evaluation"),
    "jit_compile": Flag("jit_compile", "compile the meta-step with XLA"),
    "tf32": Flag(
        "allow_tf32",
        "allow TF32 products on NVIDIA GPUs, which change meta-gradients by several percent",
    ),
    "task_chunk": Flag(
        "task_chunk",
        "largest number of tasks to process at a time, which limits the memory and does not change "
        "the meta-step; 0 for the whole meta-batch",
    ),
    "distribute": Flag(
        "distribute",
        "devices that share each meta-batch, with the result of one device: 'none', 'mirrored' for "
        "the GPUs of this machine, or 'multi_worker' for the machines in TF_CONFIG",
    ),
    "num_devices": Flag(
        "num_devices",
        "with --distribute=mirrored: number of devices; 0 for all. Without a GPU, the processor is "
        "divided into so many devices",
    ),
    "run": Flag(
        "run_dir", "run folder; default: a folder in --logdir whose name contains the settings"
    ),
}
FLAGS = {**AUTHORS, **OURS}
FLAG_OF = {flag.field: name for name, flag in FLAGS.items()}

# Actions in place of training and evaluation, their arguments, and an option of every command.
ACTIONS = {
    "compare": Action(
        None, "compare two evaluated runs, episode by episode: --compare RUN_A RUN_B"
    ),
    "export_dir": Action(
        None, "export the trained learner to this folder, as a SavedModel that learns new tasks"
    ),
    "predict": Action(
        False, "learn new labels from the images of --support and predict those of --query"
    ),
    "support": Action(None, "with --predict: folder with one subfolder of images for each label"),
    "query": Action(None, "with --predict: an image or a folder of images"),
    "invert": Action(
        "auto", "with --predict: whether to invert light and dark: auto (default), true or false"
    ),
    "compilation_cache": Action(
        None,
        "folder that keeps compiled programs, so that the same command starts faster the next "
        "time; 'off' to keep none; default: a folder in the user's cache folder",
    ),
}


def default_of(name: str) -> Any:
    """The default of a flag: that of the authors' command line, without a recipe."""
    return ACTIONS[name].default if name in ACTIONS else DEFAULTS[FLAGS[name].field]


def help_of(name: str) -> str:
    """The `--help` text of a flag: its explanation, and its default for each data source."""
    if name in ACTIONS:
        return ACTIONS[name].help
    field, text = FLAGS[name].field, FLAGS[name].help
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
    """Replaces the names of flags by those of fields; other names stay as they are."""
    return {FLAGS[n].field if n in FLAGS else n: value for n, value in values.items()}


def check_names(given: Mapping[str, Any]) -> None:
    """Raises ValueError unless every name is that of a field of `Settings`.

    The message suggests the field for the name of a flag and for a name with a typing error.
    """
    unknown = [name for name in given if name not in DEFAULTS]
    if not unknown:
        return
    similar = {
        name: [FLAGS[name].field] if name in FLAGS else difflib.get_close_matches(name, DEFAULTS, 1)
        for name in unknown
    }
    hints = [f"`{found[0]}` instead of `{name}`" for name, found in similar.items() if found]
    raise ValueError(
        f"Every name must be a field of `Settings`{': ' if hints else ''}{', '.join(hints)}. "
        f"Received: {', '.join(f'{name}={given[name]!r}' for name in unknown)}."
    )


def resolve(given: Mapping[str, Any]) -> Settings:
    """The value of every setting: what is given, else the recipe's, else the default.

    Args:
        given: values of some fields of `Settings`.

    Returns:
        `Settings`.

    Raises:
        ValueError: for an unknown name or a value that is not allowed, in one sentence.
    """
    check_names(given)
    settings = Settings(**given)
    if settings.recipe == "none":
        return settings
    return Settings(**{**recipe(settings.data_source, settings.num_ways), **given})


def read_settings(config: Mapping[str, Any]) -> Settings:
    """The settings in the config.json of a run or in the JSON file of an evaluation.

    Version 0.1.0 stored them under the names of flags. Unknown names are ignored.

    Args:
        config: values by the name of a field or of a flag.
    """
    known = fields_of(config)
    return Settings(**{name: value for name, value in known.items() if name in DEFAULTS})


def as_flags(message: str, further: Sequence[str] = (), without: Sequence[str] = ()) -> str:
    """An error message of the library, with flags in place of the fields that it names.

    `` `step_size` `` becomes `--update_lr`, and `Received: step_size=0.1` becomes
    `Received: --update_lr=0.1`.

    Args:
        message: message with the names of fields in backticks and after "Received:".
        further: names of flags that the program has in addition to those of this module.
        without: names of flags of this module that the program lacks. Their fields stay.

    Returns:
        The message for the command line.
    """
    flag_of = {**FLAG_OF, **{name: name for name in (*ACTIONS, *further)}}
    flag_of = {field: name for field, name in flag_of.items() if name not in without}
    names = "|".join(sorted(flag_of, key=len, reverse=True))
    message = re.sub(rf"`({names})(=[^`]*)?`", lambda m: f"--{flag_of[m[1]]}{m[2] or ''}", message)
    start, received, values = message.partition("Received: ")
    values = re.sub(rf"(?<![-\w`./])({names})=", lambda m: f"--{flag_of[m[1]]}=", values)
    return start + received + values
