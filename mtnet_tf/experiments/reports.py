"""The name, the title and the settings of a run as text."""

import re
from pathlib import Path

from data_prep.io import printable, user_path
from mtnet_tf.experiments.flags import FLAG_OF
from mtnet_tf.experiments.settings import DEFAULTS, Settings

# Settings that a run's name contains only if they are not the default, in this order.
_RARELY_CHANGED = (
    *("norm", "temperature", "initial_mask_logits", "hidden_units", "num_filters"),
    *("convolutional", "max_pooling", "first_order", "num_train_classes"),
    *("num_pretrain_iterations", "soft_masks", "redraw_masks", "class_split", "task_definition"),
    *("allow_tf32", "num_train_ways", "num_train_queries"),
)


def method_name(settings: Settings) -> str:
    """The name of the method that the settings train, as in the paper."""
    if settings.method:
        return settings.method
    baseline = f"{settings.baseline}-" if settings.baseline else ""
    full = "" if settings.unit_mask else "-full"
    return (
        baseline
        + {
            (True, True): f"mtnet{full}",
            (True, False): "tnet",
            (False, True): f"mnet{full}",
            (False, False): "fomaml" if settings.first_order else "maml",
        }[settings.use_transform, settings.use_mask]
    )


def task_name(settings: Settings, num_shots: int) -> str:
    """The part of a file name that describes the tasks.

    Args:
        settings: settings of a run.
        num_shots: K in training.
    """
    source = settings.data_source + ("_synthetic" if settings.synthetic else "")
    if settings.data_source == "folder":
        name = user_path(settings.data_dir).resolve().name
        if printable(name) != name:  # TensorFlow could not write files into a folder of this name
            name = re.sub(r"[^\w-]+", "_", name, flags=re.ASCII)
        source += f"_{name}{settings.image_size}"
    if settings.is_image:
        source += f"_{settings.num_ways}way"
    if settings.data_source == "polynomial":
        source += f"{settings.polynomial_order}"
    return f"{source}_{num_shots}shot"


def run_name(settings: Settings) -> str:
    """Name of a run's folder, which contains the settings that distinguish runs."""
    # The name contains the values in training, even if evaluation uses others.
    num_shots, step_size = (
        getattr(settings, f"trained_{name}")
        if getattr(settings, f"trained_{name}") > 0
        else getattr(settings, name)
        for name in ("num_shots", "step_size")
    )
    parts = [
        task_name(settings, num_shots),
        method_name(settings),
        f"tasks{settings.meta_batch_size}",
        f"steps{settings.num_inner_steps}",
        f"alpha{step_size:g}",
        f"beta{settings.meta_learning_rate:g}",
    ]
    values = settings.as_dict()
    rare = (name for name in _RARELY_CHANGED if values[name] != DEFAULTS[name])
    parts += [f"{FLAG_OF[name]}{values[name]}" for name in rare]
    return "_".join([*parts, f"seed{settings.seed}"])


def title(settings: Settings) -> str:
    """Title of a plot."""
    source = settings.data_source
    if settings.is_image:
        source = f"{source} {settings.num_ways}-way"
    if settings.data_source == "polynomial":
        source = f"polynomials of order {settings.polynomial_order}"
    if settings.synthetic:
        source = f"SYNTHETIC {source}"
    return f"{method_name(settings)}, {source}, {settings.num_shots}-shot"


def settings_table(settings: Settings, path: str | Path) -> str:
    """The method, the run folder and every setting under the name of its flag, as text."""
    values = settings.as_dict().items()
    lines = [f"  {FLAG_OF[name]:<24}{printable(value)}" for name, value in values]
    head = [f"Method: {title(settings)}", f"Run folder: {printable(path)}", "Settings:"]
    if settings.synthetic:
        head.insert(1, "Data: SYNTHETIC images; the scores cannot be compared with published ones.")
    return "\n".join([*head, *lines])
