"""The run folder: settings, checkpoints, metrics, curve, results. Files are always complete.

config.json            settings, command, versions
checkpoints/           iteration_00001000.keras (the last three), best.keras; each contains the
                       metrics of its validation
metrics.csv, curve.png one row per validation
tensorboard/           the same for TensorBoard
test_*.{csv,json,png}  results of evaluations
.run.lock              the process that writes into the folder
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from data_prep.io import exclusive, read_json, replacing, user_path, write_json
from mtnet_tf._version import versions
from mtnet_tf.experiments.checkpoint import store_validation
from mtnet_tf.experiments.flags import read_settings
from mtnet_tf.experiments.metrics_file import read_metrics, write_metrics
from mtnet_tf.experiments.settings import Settings
from mtnet_tf.learners import EpisodicLearner

KEPT_CHECKPOINTS = 3
LOCK_NAME = ".run.lock"


class Run:
    """One run folder."""

    def __init__(self, path: str | Path) -> None:
        """Stores the path; nothing is written."""
        self.path = user_path(path)
        self.checkpoints = self.path / "checkpoints"
        self.best = self.checkpoints / "best.keras"
        self._metrics = self.path / "metrics.csv"

    def writing(self) -> AbstractContextManager[None]:
        """Lets one process at a time write into the folder. Reading needs no lock.

        Raises:
            InUseError: when it is entered while another process is writing.
        """
        return exclusive(self.path, name=LOCK_NAME, wait=False)

    def start(
        self, settings: Settings, command: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Creates the folder and writes config.json.

        Args:
            settings: settings of the run.
            command: the command line.
            data: hashes of the training images, see `DataSource.identity`.
        """
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        config = {
            "settings": settings.as_dict(),
            "command": command,
            "data": data,
            "versions": versions(),
        }
        write_json(self.path / "config.json", config)

    def has_checkpoints(self) -> bool:
        """Whether there is any checkpoint, of this or an older run."""
        return any(self.checkpoints.glob("*.keras"))

    def clear(self) -> Path:
        """Renames the folder, so that a new run can start; returns its new path."""
        aside = _unused(self.path.with_name(f"{self.path.name}.old"))
        self.path.rename(aside)
        return aside

    def config(self) -> dict[str, Any]:
        """The content of config.json: settings, command, versions.

        Raises:
            ValueError: if there is no run in this folder.
        """
        path = self.path / "config.json"
        if not path.is_file() and self.has_checkpoints():
            raise ValueError(
                f"{path} must contain the settings of the checkpoints, but there is no such file. "
                "Restore it, or move the folder away to train again."
            )
        if not path.is_file():
            raise ValueError(
                f"No trained run in {self.path}. Train one first with the same settings and "
                "`train=True`, or name the folder of a trained run with `run_dir`."
            )
        config = read_json(path)
        if not isinstance(config, dict) or not isinstance(config.get("settings"), dict):
            raise ValueError(
                f"{path} must contain the settings of a run, but was not written by this package."
            )
        return config

    def settings(self) -> Settings:
        """The settings that the run was trained with, by this or an older version."""
        return read_settings(self.config()["settings"])

    def _numbered(self) -> list[Path]:
        """The checkpoints of an iteration, the oldest first."""
        found = filter(_is_numbered, self.checkpoints.glob("iteration_*.keras"))
        return sorted(found, key=_iteration_of)

    def save(
        self,
        learner: EpisodicLearner,
        metrics: Mapping[str, float] | None = None,
        is_best: bool = False,
    ) -> None:
        """Writes a checkpoint, optimizer state included, and deletes all but the last three.

        Args:
            learner: compiled learner.
            metrics: those of its validation, stored in the file; None without a validation.
            is_best: whether to store it as the best one, too.
        """
        iteration = learner.iteration
        with replacing(self.checkpoints / f"iteration_{iteration:08d}.keras") as partial:
            learner.save(partial)
            if metrics is not None:
                store_validation(partial, metrics)
            if is_best:
                with replacing(self.best) as copy:
                    shutil.copyfile(partial, copy)
        for old in self._numbered()[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def latest(self) -> Path | None:
        """Path of the newest checkpoint, or None."""
        return next(iter(reversed(self._numbered())), None)

    def num_iterations(self) -> int:
        """Meta-iterations of training up to the newest checkpoint; 0 without one."""
        latest = self.latest()
        return _iteration_of(latest) if latest else 0

    def find(self, iteration: int = -1) -> Path:
        """Path of the checkpoint to evaluate.

        Args:
            iteration: a meta-iteration that was kept; -1 for the best on validation.

        Raises:
            ValueError: if it does not exist.
        """
        path = self.checkpoints / f"iteration_{iteration:08d}.keras"
        if iteration < 0:
            path = self.best if self.best.is_file() else self.latest()
        if path is None or not path.is_file():
            kept = [_iteration_of(p) for p in self._numbered()]
            raise ValueError(
                f"No checkpoint of iteration {iteration} in {self.checkpoints}. Available "
                f"iterations: {kept or 'none'}. Train first, or choose one of these with "
                "`checkpoint_iteration`."
            )
        return path

    def check_single_test_checkpoint(self, split: str, iteration: int) -> None:
        """Checks that only one named checkpoint is evaluated on the test split.

        The best of several test scores is a biased estimate.

        Args:
            split: "test" or "val".
            iteration: the requested checkpoint; -1 for the best on validation.

        Raises:
            ValueError: if another named checkpoint was evaluated on the test split before.
        """
        if split != "test" or iteration < 0:
            return
        tested = self.path / "tested_checkpoint.json"
        first = read_json(tested) if tested.is_file() else iteration
        if first != iteration:
            raise ValueError(
                "Only one named checkpoint may be evaluated on the test split, because the better "
                f"of two scores is a biased estimate. Received: checkpoint_iteration={iteration}, "
                f"after {first}, in {self.path}. Choose on the validation split "
                "(`use_test_split=False`), or omit `checkpoint_iteration` to get the best one on "
                "it."
            )
        write_json(tested, iteration)

    def rows(self) -> list[dict[str, float]]:
        """The readable rows of metrics.csv, in the order of their iterations."""
        return read_metrics(self._metrics).rows

    def write_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Rewrites metrics.csv."""
        write_metrics(self._metrics, rows)

    def recover_rows(self, say: Callable[[str], None]) -> list[dict[str, float]]:
        """The readable rows of metrics.csv; a damaged file is kept under another name.

        Args:
            say: function that prints a line.
        """
        metrics = read_metrics(self._metrics)
        if not self._metrics.exists() and self.best.is_file():
            say(f"{self._metrics} is missing: it will contain the validations from now on.")
        if metrics.fault:
            aside = _unused(self.path / "metrics.damaged")
            if self._metrics.is_dir():
                self._metrics.rename(aside)
            else:
                with replacing(aside) as copy:
                    shutil.copyfile(self._metrics, copy)
            if metrics.rows:
                self.write_rows(metrics.rows)
            kept = f"{len(metrics.rows)} row{'s' * (len(metrics.rows) != 1)}"
            say(f"{self._metrics} {metrics.fault}. {kept} can be read; the original is {aside}.")
        return metrics.rows


def _is_numbered(path: Path) -> bool:
    return re.fullmatch(r"iteration_\d+", path.stem) is not None


def _iteration_of(path: Path) -> int:
    """The number in the name of a numbered checkpoint."""
    return int(path.stem.removeprefix("iteration_"))


def _unused(path: Path) -> Path:
    """The path with the first number that is free: run.old1, run.old2, ..."""
    number = 1
    while (numbered := path.with_name(f"{path.name}{number}")).exists():
        number += 1
    return numbered
