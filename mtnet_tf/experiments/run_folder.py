"""The run folder: settings, checkpoints, metrics, curve, results. Files are always complete.

config.json            settings, command, versions
checkpoints/           iteration_00001000.keras (the last three), best.keras
metrics.csv, curve.png one row per validation
tensorboard/           the same for TensorBoard
test_*.{csv,json,png}  results of evaluations
"""

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.io import read_json, replacing, write_csv, write_json
from mtnet_tf._version import versions
from mtnet_tf.experiments.flags import read_settings
from mtnet_tf.experiments.settings import Settings
from mtnet_tf.learners import EpisodicLearner

KEPT_CHECKPOINTS = 3


class Run:
    """One run folder."""

    def __init__(self, path: str | Path) -> None:
        """Stores the path; nothing is written."""
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"

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

    def clear(self) -> None:
        """Renames the folder of an older run with these settings, so that a new one can start."""
        if self._numbered():
            number = 1
            while (aside := self.path.with_name(f"{self.path.name}.old{number}")).exists():
                number += 1
            self.path.rename(aside)

    def config(self) -> dict[str, Any]:
        """The content of config.json: settings, command, versions.

        Raises:
            ValueError: if there is no run in this folder.
        """
        path = self.path / "config.json"
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
        return sorted(self.checkpoints.glob("iteration_*.keras"))

    def save(self, learner: EpisodicLearner, is_best: bool = False) -> None:
        """Writes a checkpoint, optimizer state included, and deletes all but the last three.

        Args:
            learner: compiled learner.
            is_best: whether to store it as the best one, too.
        """
        iteration = int(learner.optimizer.iterations)
        with replacing(self.checkpoints / f"iteration_{iteration:08d}.keras") as partial:
            learner.save(partial)
            if is_best:
                with replacing(self.checkpoints / "best.keras") as copy:
                    shutil.copyfile(partial, copy)
        for old in self._numbered()[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def latest(self) -> Path | None:
        """Path of the newest checkpoint, or None."""
        return next(iter(reversed(self._numbered())), None)

    def find(self, iteration: int = -1) -> Path:
        """Path of the checkpoint to evaluate.

        Args:
            iteration: a meta-iteration that was kept; -1 for the best on validation.

        Raises:
            ValueError: if it does not exist.
        """
        path = self.checkpoints / f"iteration_{iteration:08d}.keras"
        if iteration < 0:
            path = self.checkpoints / "best.keras"
            path = path if path.is_file() else self.latest()
        if path is None or not path.is_file():
            kept = [int(p.stem.split("_")[1]) for p in self._numbered()]
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
        """The rows of metrics.csv."""
        path = self.path / "metrics.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]

    def write_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Rewrites metrics.csv."""
        header = list(rows[-1])
        lines = [[f"{row[name]:.8g}" for name in header] for row in rows]
        write_csv(self.path / "metrics.csv", [header, *lines])
