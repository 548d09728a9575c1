"""The schedule of a run: `fit` from one validation to the next, resumable at any point."""

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import cast

import keras
import tensorflow as tf

from mtnet_tf.experiments.checkpoint import load_learner, read_validation
from mtnet_tf.experiments.compilation_cache import store_compiled_programs
from mtnet_tf.experiments.plots import plot_training
from mtnet_tf.experiments.run_folder import Run
from mtnet_tf.experiments.terminal import say
from mtnet_tf.learners import EpisodicLearner
from mtnet_tf.tasks import TaskDistribution


class Recorder(keras.callbacks.Callback):
    """After each validation: a row of metrics, the curve, summaries and a checkpoint."""

    def __init__(
        self,
        run: Run,
        rows: list[dict[str, float]],
        best_score: float,
        title: str,
        summaries: bool = True,
    ) -> None:
        """Creates the callback.

        Args:
            run: run folder.
            rows: metrics of earlier validations.
            best_score: score of best.keras; larger is better.
            title: title of the curve.
            summaries: whether to write TensorBoard summaries.
        """
        super().__init__()
        self._run = run
        self._rows = rows
        self._best_score = best_score
        self._title = title
        self._writer = None
        if summaries:
            self._writer = tf.summary.create_file_writer(os.fsencode(run.path / "tensorboard"))

    @property
    def _learner(self) -> EpisodicLearner:
        return cast(EpisodicLearner, self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the clock."""
        self._start = (time.perf_counter(), self._learner.iteration)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stops the clock, because validation does not count as training."""
        self._stop = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes everything, the checkpoint last: a run that is killed earlier repeats this.

        Raises:
            ValueError: if a loss is not finite.
        """
        learner, logs = self._learner, logs or {}
        iteration = learner.iteration
        if not all(map(math.isfinite, logs.values())):
            raise ValueError(
                f"Training diverged: a loss is not finite at iteration {iteration}. Earlier "
                "checkpoints are kept; try a smaller step size or learning rate."
            )
        # A run that was killed before its next checkpoint may have written later rows.
        self._rows = [row for row in self._rows if row["iteration"] < iteration]
        row = {"iteration": iteration, **logs, **learner.report()}
        row["seconds_per_iteration"] = (self._stop - self._start[0]) / (iteration - self._start[1])
        self._rows.append(row)
        self._run.write_rows(self._rows)
        score = _score(row)
        self._run.save(learner, row, is_best=score > self._best_score)
        self._best_score = max(score, self._best_score)
        store_compiled_programs()
        plot_training(self._rows, self._run.path / "curve.png", self._title)
        if self._writer is not None:
            with self._writer.as_default(step=iteration):
                for name, value in row.items():
                    tf.summary.scalar(name, value)
            self._writer.flush()


def _score(row: Mapping[str, float]) -> float:
    """Larger is better; -inf if the row contains no finite score."""
    score = row.get("val_accuracy", -row.get("val_loss", math.inf))
    return score if math.isfinite(score) else -math.inf


def _best_score(
    run: Run, validate: Callable[[EpisodicLearner], Mapping[str, float]], say: Callable[[str], None]
) -> float:
    """The score of best.keras; -inf if there is none.

    Versions before 0.2 did not store it in the file. It is then in metrics.csv, unless that file is
    damaged or missing.
    """
    if not run.best.is_file():
        return -math.inf
    metrics = read_validation(run.best)
    if metrics is None:
        learner = load_learner(run.best)
        iteration = learner.iteration
        metrics = next((row for row in run.rows() if row["iteration"] == iteration), {})
        if not math.isfinite(_score(metrics)):
            say(f"The validation score of {run.best} is not stored. Validating it again.")
            metrics = {f"val_{name}": value for name, value in validate(learner).items()}
    return _score(metrics)


def segments(start: int, stop: int, interval: int) -> list[tuple[int, int]]:
    """Divides iterations into epochs, so that validations are at multiples of the interval.

    Returns:
        List of (number of epochs, iterations per epoch).
    """
    stop = max(start, stop)
    head = min(-start % interval, stop - start)
    full, tail = divmod(stop - start - head, interval)
    return [(n, steps) for n, steps in ((1, head), (full, interval), (1, tail)) if n and steps]


def train(
    learner: EpisodicLearner,
    tasks: TaskDistribution,
    validation_tasks: TaskDistribution,
    run: Run,
    *,
    meta_batch_size: int,
    num_iterations: int,
    validation_interval: int,
    num_validation_batches: int = 5,
    max_steps_per_execution: int = 1,
    title: str = "",
    summaries: bool = True,
    say: Callable[[str], None] = say,
    verbose: str | int = "auto",
) -> None:
    """Meta-trains from the learner's present iteration up to a given one.

    Args:
        learner: compiled learner.
        tasks: tasks to train on.
        validation_tasks: tasks to validate on.
        run: run folder, after `Run.start`.
        meta_batch_size: tasks per meta-step.
        num_iterations: total number of meta-iterations, including those already done.
        validation_interval: meta-iterations between validations (and checkpoints).
        num_validation_batches: batches of `meta_batch_size` episodes in a validation.
        max_steps_per_execution: largest number of meta-steps that are compiled into one call.
        title: title of the curve.
        summaries: whether to write TensorBoard summaries.
        say: function that prints a line.
        verbose: as for `keras.Model.fit`.

    Raises:
        KeyboardInterrupt: after an interruption, when a checkpoint has been written.
    """
    start = learner.iteration
    if start >= num_iterations:
        return
    rows = run.recover_rows(say)

    def validate(best: EpisodicLearner) -> Mapping[str, float]:
        return best.evaluate(
            validation_tasks,
            batch_size=meta_batch_size,
            steps=num_validation_batches,
            verbose=0,
            return_dict=True,
        )

    recorder = Recorder(run, rows, _best_score(run, validate, say), title, summaries)
    try:
        for num_epochs, steps in segments(start, num_iterations, validation_interval):
            _set_steps_per_execution(learner, steps, max_steps_per_execution)
            done = learner.iteration // validation_interval
            learner.fit(
                tasks,
                batch_size=meta_batch_size,
                initial_epoch=done,
                epochs=done + num_epochs,
                steps_per_epoch=steps,
                validation_data=validation_tasks,
                validation_steps=num_validation_batches,
                callbacks=[recorder],
                verbose=verbose,
            )
    except KeyboardInterrupt:
        if learner.iteration > start:
            run.save(learner)
        raise


def _set_steps_per_execution(learner: EpisodicLearner, steps: int, maximum: int) -> None:
    # An execution cannot stop half-way, so an epoch is a whole number of them.
    wanted = max(d for d in range(1, min(steps, maximum) + 1) if steps % d == 0)
    if learner.steps_per_execution != wanted:
        learner.steps_per_execution = wanted


def default_interval(num_iterations: int) -> int:
    """About fifty validations in a long run, at round iterations: 50, 100, 200, 500, ..."""
    target = max(num_iterations / 50, 50)
    base = 10 ** math.floor(math.log10(target))
    return int(next(base * f for f in (1, 2, 5, 10) if base * f >= target))
