"""The training of a run, from its newest checkpoint if there is one."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from mtnet_tf.experiments.build import compile_learner
from mtnet_tf.experiments.checkpoint import load_learner
from mtnet_tf.experiments.data import DataSource
from mtnet_tf.experiments.devices import ONE_DEVICE, Devices
from mtnet_tf.experiments.reports import title
from mtnet_tf.experiments.run_folder import Run
from mtnet_tf.experiments.settings import JOINT, Settings
from mtnet_tf.experiments.terminal import Say, default_verbosity, say, say_nothing
from mtnet_tf.experiments.train import default_interval, train
from mtnet_tf.learners import EpisodicLearner
from mtnet_tf.tasks import ImageClasses, TaskDistribution

VALIDATION_EPISODES = 100
# Most meta-steps in one compiled program; the progress is shown after each of them.
STEPS_PER_EXECUTION = 100
Builder = Callable[[Settings, TaskDistribution], EpisodicLearner]


def train_run(
    settings: Settings,
    run: Run,
    command: str,
    build: Builder,
    *,
    devices: Devices = ONE_DEVICE,
    say: Say = say,
    verbose: int | None = None,
) -> None:
    """Trains to the end, from the newest checkpoint if there is one.

    Args:
        settings: settings of the run.
        run: run folder. Several workers must all be able to read it.
        command: the command line, for config.json.
        build: function (settings, tasks) that returns a new compiled learner.
        devices: the devices that share each meta-batch.
        say: function that prints a line.
        verbose: as for `keras.Model.fit`; None: a progress bar in a terminal, otherwise lines.

    Raises:
        ValueError: if the images or the checkpoint cannot be used, training diverges, or another
            process is writing into the folder.
        WorkerLostError: if another worker stops.
    """
    tf.config.experimental.enable_tensor_float_32_execution(settings.allow_tf32)
    say, verbose = (say, verbose) if devices.is_chief else (say_nothing, 0)
    # Outside the scope: workers cannot exchange variables of images, and need not.
    data = DataSource(settings)
    if settings.use_test_split:
        data.tasks("test")  # raises now, before training, if images are missing
    tasks = data.tasks("train"), data.tasks("val")
    with devices.scope():
        restarts = run.has_checkpoints() and not (settings.resume and run.latest())
        if devices.is_chief and restarts:
            with run.writing():
                say(f"The earlier run is kept in {run.clear()}")
        total = settings.num_pretrain_iterations + settings.num_meta_iterations
        with devices.written(run) as written, written.writing():
            done = devices.agree(run.num_iterations() if settings.resume else 0)
            learner = _resumed(settings, run.find(done), run, data, say) if done else None
            if learner is None:
                learner = build(settings, tasks[0])
            if learner.iteration < total:
                written.start(settings, command, data.identity())
                _train(learner, tasks, settings, written, total, say, verbose)


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
    loops = loops_are_faster(tasks[0]) and not tf.distribute.has_strategy()
    schedule["max_steps_per_execution"] = STEPS_PER_EXECUTION if loops else 1
    schedule["verbose"] = default_verbosity() if verbose is None else verbose
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


def _resumed(
    settings: Settings, latest: Path, run: Run, data: DataSource, say: Say
) -> EpisodicLearner:
    """The learner of the newest checkpoint, compiled."""
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
