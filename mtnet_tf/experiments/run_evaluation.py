"""The evaluation of a trained run, and its report."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from mtnet_tf.evaluation import Evaluation, Purpose, evaluate, regression_curves
from mtnet_tf.experiments.build import compile_learner
from mtnet_tf.experiments.checkpoint import load_learner
from mtnet_tf.experiments.data import DataSource
from mtnet_tf.experiments.devices import ONE_DEVICE, Devices
from mtnet_tf.experiments.evaluation_report import write
from mtnet_tf.experiments.plots import plot_regression
from mtnet_tf.experiments.reports import title
from mtnet_tf.experiments.run_folder import Run
from mtnet_tf.experiments.settings import Settings
from mtnet_tf.experiments.terminal import Say, default_verbosity, say, say_nothing
from mtnet_tf.learners import EpisodicLearner


class _Found(NamedTuple):
    """The scores of a learner, and what they were computed from."""

    scores: Evaluation
    learner: EpisodicLearner
    data: DataSource
    split: str
    iteration: int


def evaluate_run(
    settings: Settings,
    run: Run,
    *,
    devices: Devices = ONE_DEVICE,
    say: Say = say,
    verbose: int | None = None,
) -> Evaluation:
    """Evaluates a checkpoint, and prints and writes the report.

    Args:
        settings: settings of the evaluation.
        run: folder of a trained run.
        devices: the devices that share the episodes.
        say: function that prints a line.
        verbose: 1 shows a progress bar, 0 and 2 do not; None: a bar in a terminal only.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: if the run, its images or the checkpoint cannot be used, or another process is
            writing into the folder.
        WorkerLostError: if another worker stops.
    """
    devices.agree(0)  # the chief has written its checkpoints
    config = run.config()  # raises if there is no run, before the folder is created
    say, verbose = (say, verbose) if devices.is_chief else (say_nothing, 0)
    if not devices.is_chief:
        return _evaluation(settings, run, config, devices, say, verbose).scores
    with run.writing():
        run.check_single_test_checkpoint(_split(settings), settings.checkpoint_iteration)
        found = _evaluation(settings, run, config, devices, say, verbose)
        _report(settings, run, found, say)
        return found.scores


def _split(settings: Settings) -> str:
    return "test" if settings.use_test_split else "val"


def _evaluation(
    settings: Settings,
    run: Run,
    config: Mapping[str, Any],
    devices: Devices,
    say: Say,
    verbose: int | None,
) -> _Found:
    """The scores of a checkpoint of a run with this config.json."""
    tf.config.experimental.enable_tensor_float_32_execution(settings.allow_tf32)
    split = _split(settings)
    data = DataSource(settings)
    data.check_same_images(config)
    tasks = data.tasks(split)
    checkpoint = run.find(settings.checkpoint_iteration)
    with devices.scope():
        learner = load_learner(checkpoint)
        iteration = learner.iteration
        _use_step_size(learner, settings, run)
        compile_learner(learner, settings)
        say(f"Evaluating {checkpoint} (iteration {iteration}) on the {split} split")
        scores = evaluate(
            learner,
            tasks,
            num_episodes=settings.num_test_episodes,
            num_inner_steps=settings.num_test_inner_steps,
            seed=settings.seed,
            purpose=Purpose.EVALUATION_TASKS if split == "test" else Purpose.SELECTION_TASKS,
            verbose=default_verbosity() if verbose is None else verbose,
        )
    return _Found(scores, learner, data, split, iteration)


def _report(settings: Settings, run: Run, found: _Found, say: Say) -> None:
    """Prints and writes the report."""
    learner, data, split = found.learner, found.data, found.split
    tasks = data.tasks(split)
    sizes = [math.prod(v.shape) for v in learner.meta_parameters]
    extras = {**learner.report(), "num_meta_parameters": sum(sizes)}
    extras |= {"adapts_weights": learner.adapts_weights}
    extras |= {"num_shots": tasks.num_shots, "num_queries": tasks.num_queries}
    pictures: dict[str, Any] = {}
    if settings.is_image:
        packed = data.pictures(split).packed
        pictures["class_names"] = packed.class_names
        pictures["picture_of"] = lambda number: packed.images[packed.offsets[number]]
        extras["leaks"] = check_leaks(data, split, say)
    else:
        curves = regression_curves(learner, data.tasks(split, curves=True))
        heading = "; ".join([title(settings), *_active(extras)])
        plot_regression(curves, run.path / f"{split}_curves.png", heading)
    say(write(run, found.scores, settings, split, found.iteration, extras=extras, **pictures))
    for line in _active(extras):
        say(f"{line[0].upper()}{line[1:]}.")


def _use_step_size(learner: EpisodicLearner, settings: Settings, run: Run) -> None:
    """Sets the step size of this evaluation.

    Raises:
        ValueError: if it differs from training and the method has no step size to change.
    """
    asked, trained = settings.step_size, run.settings().step_size
    if asked == trained:
        return
    try:
        learner.step_size = asked
    except ValueError as error:
        raise ValueError(
            f"`step_size` must be {trained:g}, as in training, because `method={settings.method}` "
            f"does not use another value in evaluation. Received: step_size={asked:g}. Omit it."
        ) from error


def _active(report: Mapping[str, Any]) -> list[str]:
    """A clause about the learner's masks, or an empty list if it has none."""
    if "active_fraction" not in report:
        return []
    return [f"a task may change {report['active_fraction']:.1%} of W and b"]


def check_leaks(data: DataSource, split: str, say: Say = say) -> list[str]:
    """Prints and returns sentences about classes and images that are in more than one split."""
    overlap = data.find_leaks()
    shared = [name for name, *splits in overlap.classes if split in splits]
    shared += [
        twins for twins in overlap.across if split in (twins.first_split, twins.second_split)
    ]
    verdict = f"Checked: no class and no image of the {split} split is in another split."
    if shared:
        verdict = (
            f"WARNING: {len(shared)} classes or images of the {split} split are also in another "
            "split, so scores may be too high."
        )
    lines = [verdict, *data.split_notes(), *overlap.lines()]
    say("\n".join(lines))
    return lines
