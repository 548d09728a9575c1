"""What a person reads: the settings, the run's name, the table of an evaluation."""

from mtnet_tf import plots, runs
from mtnet_tf.evaluation import summarize
from mtnet_tf.settings import DEFAULTS

_IMAGES = ("omniglot", "miniimagenet")


def method_name(settings):
    """The paper's name of what the settings train."""
    baseline = f"{settings['baseline']}-" if settings["baseline"] else ""
    full = "" if settings["share_M"] else "-full"
    return (
        baseline
        + {
            (True, True): f"mtnet{full}",
            (True, False): "tnet",
            (False, True): f"mnet{full}",
            (False, False): "maml",
        }[settings["use_T"], settings["use_M"]]
    )


def run_name(settings):
    """Folder name that says what tells runs apart."""
    trained = dict(settings)
    for name in ("update_batch_size", "update_lr"):  # as trained, where evaluation differs
        if settings[f"train_{name}"] > 0:
            trained[name] = settings[f"train_{name}"]
    source = settings["datasource"] + ("_synthetic" if settings["synthetic"] else "")
    if settings["datasource"] in _IMAGES:
        source += f"_{settings['num_classes']}way"
    if settings["datasource"] == "polynomial":
        source += f"{settings['poly_order']}"
    parts = [
        source,
        f"{trained['update_batch_size']}shot",
        method_name(settings),
        f"tasks{settings['meta_batch_size']}",
        f"steps{settings['num_updates']}",
        f"alpha{trained['update_lr']:g}",
        f"beta{settings['meta_lr']:g}",
    ]
    # What is rarely changed is named only where it was.
    rare = ("norm", "temp", "logit_init", "dim_hidden", "num_filters", "conv", "max_pool")
    rare += ("stop_grad", "num_train_classes", "pretrain_iterations", "soft_masks")
    rare += ("redraw_masks", "class_split", "task_definition", "tf32")
    parts += [f"{n}{settings[n]}" for n in rare if settings[n] != DEFAULTS[n]]
    return "_".join([*parts, f"seed{settings['seed']}"])


def title(settings):
    """One line above a picture."""
    source = settings["datasource"]
    if settings["datasource"] in _IMAGES:
        source = f"{source} {settings['num_classes']}-way"
    if settings["synthetic"]:
        source = f"SYNTHETIC {source}"
    return f"{method_name(settings)}, {source}, {settings['update_batch_size']}-shot"


def settings_table(settings, path):
    """Every resolved setting, and where the run goes."""
    lines = [f"  {name:<24}{value}" for name, value in settings.items()]
    head = [f"Method: {title(settings)}", f"Run folder: {path}", "Settings:"]
    if settings["synthetic"]:
        head.insert(1, "Data: SYNTHETIC characters, not Omniglot; compare with nothing published.")
    return "\n".join([*head, *lines])


def write(run, evaluation, settings, split, iteration):
    """Writes the files of an evaluation.

    The authors' CSV (`update0` is the support score before adaptation), a JSON with everything
    needed to repeat it, the scores of every episode, and a plot.

    Args:
      run: `Run`.
      evaluation: `Evaluation`.
      settings: dict.
      split: "test" or "val".
      iteration: meta-iteration of the checkpoint that was evaluated.

    Returns:
      The table to print, str.
    """
    query, support = summarize(evaluation.query), summarize(evaluation.support)
    stem = f"{split}_ubs{settings['update_batch_size']}_stepsize{settings['update_lr']}"
    columns = [[s, *q[1:]] for s, q in zip(support, query, strict=True)]
    header = [f"update{i}" for i in range(len(query.mean))]
    runs.write_csv(run.path / f"{stem}.csv", [header, *columns])
    steps = [f"query_after_{i}" for i in range(len(query.mean))]
    rows = zip(evaluation.fingerprints, evaluation.support, *evaluation.query.T, strict=True)
    runs.write_csv(
        run.path / f"{stem}_episodes.csv", [["episode", "support_before", *steps], *rows]
    )
    record = {
        "metric": evaluation.metric,
        "split": split,
        "synthetic": settings["synthetic"],
        "num_distinct_episodes": len(evaluation.fingerprints),
        "support_before": dict(zip(("mean", "std", "ci95"), map(float, support), strict=True)),
        "query_after_step": {k: v.tolist() for k, v in query._asdict().items()},
        "iteration": iteration,
        "settings": settings,
        "trained": run.config(),
        "versions": runs.versions(),
    }
    runs.write_json(run.path / f"{stem}.json", record)
    heading = f"{title(settings)}: {split} split"
    plots.plot_adaptation(query, run.path / f"{stem}.png", heading, evaluation.metric)
    return _table(evaluation, query, support, heading) + f"\nWritten to {run.path}/{stem}.*"


def _table(evaluation, query, support, heading):
    scale, unit = (100, "%") if evaluation.metric == "accuracy" else (1, "")
    lines = [
        f"{heading}, {evaluation.metric}, {len(evaluation.fingerprints)} distinct episodes",
        f"{'':>24}{'mean':>10}{'std':>10}{'95 % interval':>18}",
    ]
    names = ["before, support set", "before, query set"]
    names += [f"after {i} step{'s' * (i > 1)}" for i in range(1, len(query.mean))]
    values = [tuple(map(float, support)), *zip(*query, strict=True)]
    for name, (mean, std, ci95) in zip(names, values, strict=True):
        mean, std, ci95 = mean * scale, std * scale, ci95 * scale
        lines.append(f"{name:>24}{mean:>9.3f}{unit:1}{std:>9.3f}{unit:1}{'±':>9} {ci95:.3f}{unit}")
    return "\n".join(lines)
