"""A run: training from the newest checkpoint, and evaluation of the best one."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from mtnet_tf.evaluation import Evaluation, Purpose, evaluate, regression_curves
from mtnet_tf.experiments.build import compile_learner
from mtnet_tf.experiments.checkpoint import load_learner
from mtnet_tf.experiments.data import DataSource
from mtnet_tf.experiments.evaluation_report import write
from mtnet_tf.experiments.plots import plot_regression
from mtnet_tf.experiments.reports import title
from mtnet_tf.experiments.run_folder import Run
from mtnet_tf.experiments.settings import JOINT, Settings
from mtnet_tf.experiments.terminal import say
from mtnet_tf.experiments.train import default_interval, train
from mtnet_tf.learners import EpisodicLearner
from mtnet_tf.tasks import ImageClasses, TaskDistribution

VALIDATION_EPISODES = 100
# Most meta-steps in one compiled program; the progress is shown after each of them.
STEPS_PER_EXECUTION = 100
Say = Callable[[str], None]
Builder = Callable[[Settings, TaskDistribution], EpisodicLearner]


def train_run(
    settings: Settings,
    run: Run,
    command: str,
    build: Builder,
    *,
    say: Say = say,
    verbose: int | None = None,
) -> None:
    """Trains to the end, from the newest checkpoint if there is one.

    Args:
        settings: settings of the run.
        run: run folder.
        command: the command line, for config.json.
        build: function (settings, tasks) that returns a new compiled learner.
        say: function that prints a line.
        verbose: as for `keras.Model.fit`; None: a progress bar in a terminal, otherwise lines.

    Raises:
        ValueError: if the images or the checkpoint cannot be used, training diverges, or another
            process is writing into the folder.
    """
    tf.config.experimental.enable_tensor_float_32_execution(settings.allow_tf32)
    data = DataSource(settings)
    if settings.use_test_split:
        data.tasks("test")  # raises now, before training, if images are missing
    tasks = data.tasks("train"), data.tasks("val")
    if run.has_checkpoints() and not (settings.resume and run.latest()):
        with run.writing():
            say(f"The earlier run is kept in {run.clear()}")
    total = settings.num_pretrain_iterations + settings.num_meta_iterations
    with run.writing():
        learner = _resumed(settings, run, data, say) if settings.resume else None
        if learner is None:
            learner = build(settings, tasks[0])
        if learner.iteration < total:
            run.start(settings, command, data.identity())
            _train(learner, tasks, settings, run, total, say, verbose)


def _train(
    learner: EpisodicLearner,
    tasks: tuple[TaskDistribution, TaskDistribution],
    settings: Settings,
    run: Run,
    total: int,
    say: Say,
    verbose: int | None,
) -> None:
    """Trains up to iteration `total` on a pair (training tasks, validation tasks)."""
    schedule = _schedule(settings, total)
    schedule["max_steps_per_execution"] = STEPS_PER_EXECUTION if loops_are_faster(tasks[0]) else 1
    schedule["verbose"] = _default_verbosity() if verbose is None else verbose
    compiling = "" if settings.run_eagerly else " Compiling the first step takes a while."
    interval = schedule["validation_interval"]
    say(
        f"Training to iteration {total}. Every {interval} iterations: validation and a "
        f"checkpoint.{compiling}"
    )
    # Joint training is a meta-step without inner steps.
    joint = total if settings.baseline in JOINT else settings.num_pretrain_iterations
    for num_inner_steps, end in ((0, joint), (settings.num_inner_steps, total)):
        learner.num_inner_steps = num_inner_steps
        train(learner, *tasks, run, num_iterations=end, say=say, **schedule)


def _resumed(settings: Settings, run: Run, data: DataSource, say: Say) -> EpisodicLearner | None:
    """The learner of the newest checkpoint, compiled; None if there is none."""
    latest = run.latest()
    if not latest:
        return None
    data.check_same_images(run.config())
    learner = load_learner(latest)
    _check_planned_length(learner, settings, run)
    say(f"Resuming from {latest}")
    return compile_learner(learner, settings, learner.optimizer)


def _schedule(settings: Settings, total: int) -> dict[str, Any]:
    """Options of `train` for this number of iterations."""
    batches = math.ceil(VALIDATION_EPISODES / settings.meta_batch_size)
    return {
        "meta_batch_size": settings.meta_batch_size,
        "validation_interval": settings.validation_interval or default_interval(total),
        # Enough episodes to choose the best of fifty checkpoints.
        "num_validation_batches": max(5, batches),
        "title": title(settings),
        "summaries": settings.write_summaries,
    }


def loops_are_faster(tasks: TaskDistribution) -> bool:
    """Whether many meta-steps in one compiled program are faster than one per program.

    A loop removes the time between steps, which dominates for small networks and on a GPU. On a
    CPU, XLA computes what is inside a loop with fewer threads, so that steps on images are slower.
    """
    if not isinstance(tasks, ImageClasses):
        return True
    return tasks.in_graph and bool(tf.config.list_physical_devices("GPU"))


def evaluate_run(
    settings: Settings, run: Run, *, say: Say = say, verbose: int | None = None
) -> Evaluation:
    """Evaluates a checkpoint, and prints and writes the report.

    Args:
        settings: settings of the evaluation.
        run: folder of a trained run.
        say: function that prints a line.
        verbose: 1 shows a progress bar, 0 and 2 do not; None: a bar in a terminal only.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: if the run, its images or the checkpoint cannot be used, or another process is
            writing into the folder.
    """
    config = run.config()  # raises if there is no run, before the folder is created
    with run.writing():
        return _evaluate(settings, run, config, say, verbose)


def _evaluate(
    settings: Settings, run: Run, config: Mapping[str, Any], say: Say, verbose: int | None
) -> Evaluation:
    """Evaluates as `evaluate_run` does, a run with this config.json."""
    tf.config.experimental.enable_tensor_float_32_execution(settings.allow_tf32)
    split = "test" if settings.use_test_split else "val"
    data = DataSource(settings)
    data.check_same_images(config)
    run.check_single_test_checkpoint(split, settings.checkpoint_iteration)
    checkpoint = run.find(settings.checkpoint_iteration)
    learner = load_learner(checkpoint)
    iteration = learner.iteration
    _use_step_size(learner, settings, run)
    compile_learner(learner, settings)
    say(f"Evaluating {checkpoint} (iteration {iteration}) on the {split} split")
    tasks = data.tasks(split)
    evaluation = evaluate(
        learner,
        tasks,
        num_episodes=settings.num_test_episodes,
        num_inner_steps=settings.num_test_inner_steps,
        seed=settings.seed,
        purpose=Purpose.EVALUATION_TASKS if split == "test" else Purpose.SELECTION_TASKS,
        verbose=_default_verbosity() if verbose is None else verbose,
    )
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
    say(write(run, evaluation, settings, split, iteration, extras=extras, **pictures))
    for line in _active(extras):
        say(f"{line[0].upper()}{line[1:]}.")
    return evaluation


def _check_planned_length(learner: EpisodicLearner, settings: Settings, run: Run) -> None:
    """Raises ValueError if a run cannot be continued beyond its planned length."""
    asked, planned = settings.num_meta_iterations, run.settings().num_meta_iterations
    if learner.has_planned_length and asked != planned:
        raise ValueError(
            f"`num_meta_iterations` must be {planned}, the value at the start of this run, because "
            f"the learning rate of `method={settings.method}` follows a schedule of that length. "
            f"Received: num_meta_iterations={asked}. Name another folder with `run_dir` or "
            "`runs_dir`, or train again from the start with `resume=False`."
        )


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


def _default_verbosity() -> int:
    return 1 if sys.stdout.isatty() else 2


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
