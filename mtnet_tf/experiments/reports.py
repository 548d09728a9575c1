"""What a person reads before a run: its name and its settings."""

from pathlib import Path

from mtnet_tf.experiments.settings import DEFAULTS, IMAGES


def method_name(settings):
    """The paper's name of what the settings train."""
    if settings["method"]:
        return settings["method"]
    baseline = f"{settings['baseline']}-" if settings["baseline"] else ""
    full = "" if settings["share_M"] else "-full"
    return (
        baseline
        + {
            (True, True): f"mtnet{full}",
            (True, False): "tnet",
            (False, True): f"mnet{full}",
            (False, False): "fomaml" if settings["stop_grad"] else "maml",
        }[settings["use_T"], settings["use_M"]]
    )


def task_name(settings, num_shots):
    """The part of a file's name that says what the tasks are."""
    source = settings["datasource"] + ("_synthetic" if settings["synthetic"] else "")
    if settings["datasource"] == "folder":
        source += f"_{Path(settings['data_dir']).resolve().name}{settings['image_size']}"
    if settings["datasource"] in IMAGES:
        source += f"_{settings['num_classes']}way"
    if settings["datasource"] == "polynomial":
        source += f"{settings['poly_order']}"
    return f"{source}_{num_shots}shot"


def run_name(settings):
    """Folder name that says what tells runs apart."""
    trained = dict(settings)
    for name in ("update_batch_size", "update_lr"):  # as trained, where evaluation differs
        if settings[f"train_{name}"] > 0:
            trained[name] = settings[f"train_{name}"]
    parts = [
        task_name(settings, trained["update_batch_size"]),
        method_name(settings),
        f"tasks{settings['meta_batch_size']}",
        f"steps{settings['num_updates']}",
        f"alpha{trained['update_lr']:g}",
        f"beta{settings['meta_lr']:g}",
    ]
    # What is rarely changed is named only where it was.
    rare = ("norm", "temp", "logit_init", "dim_hidden", "num_filters", "conv", "max_pool")
    rare += ("stop_grad", "num_train_classes", "pretrain_iterations", "soft_masks")
    rare += (
        "redraw_masks",
        "class_split",
        "task_definition",
        "tf32",
        "num_train_ways",
        "num_train_queries",
    )
    parts += [f"{n}{settings[n]}" for n in rare if settings[n] != DEFAULTS[n]]
    return "_".join([*parts, f"seed{settings['seed']}"])


def title(settings):
    """One line above a picture."""
    source = settings["datasource"]
    if settings["datasource"] in IMAGES:
        source = f"{source} {settings['num_classes']}-way"
    if settings["datasource"] == "polynomial":
        source = f"polynomials of order {settings['poly_order']}"
    if settings["synthetic"]:
        source = f"SYNTHETIC {source}"
    return f"{method_name(settings)}, {source}, {settings['update_batch_size']}-shot"


def settings_table(settings, path):
    """Every resolved setting, and where the run goes."""
    lines = [f"  {name:<24}{value}" for name, value in settings.items()]
    head = [f"Method: {title(settings)}", f"Run folder: {path}", "Settings:"]
    if settings["synthetic"]:
        head.insert(
            1, "Data: SYNTHETIC pictures, not the real ones; compare with nothing published."
        )
    return "\n".join([*head, *lines])
