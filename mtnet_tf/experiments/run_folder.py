"""The run folder: settings, checkpoints, metrics, curve, results. Nothing in it is half-written.

config.json            settings, command, versions
checkpoints/           iteration_00001000.keras (the last three), best.keras
metrics.csv, curve.png one row per validation
tensorboard/           the same for TensorBoard
test_*.{csv,json,png}  results of evaluations
"""

import csv
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtnet_tf._files import read_json, write_csv, write_json
from mtnet_tf._version import versions
from mtnet_tf.experiments.flags import read_settings
from mtnet_tf.experiments.settings import Settings
from mtnet_tf.learners import EpisodicLearner

KEPT_CHECKPOINTS = 3


class Run:
    """One run folder."""

    def __init__(self, path: str | Path) -> None:
        """Points to a folder; nothing is written yet."""
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"

    def start(
        self, settings: Settings, command: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Makes the folder and writes config.json.

        Args:
            settings: dict, every resolved setting.
            command: the command line, str.
            data: what identifies the pictures trained on, see `DataSource.identity`.
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
        """Sets an older run with these settings aside, so that the new one starts afresh."""
        if self._numbered():
            number = 1
            while (aside := self.path.with_name(f"{self.path.name}.old{number}")).exists():
                number += 1
            self.path.rename(aside)

    def config(self) -> dict[str, Any]:
        """What config.json says: settings, command, versions.

        Raises:
            ValueError: if there is no run here.
        """
        path = self.path / "config.json"
        if not path.is_file():
            raise ValueError(
                f"No trained run in {self.path}: train it first with the same settings and "
                "`train=True`, or name its folder with `run_dir`."
            )
        config = read_json(path)
        if not isinstance(config, dict) or not isinstance(config.get("settings"), dict):
            raise ValueError(f"{path} must hold the settings of a run. It was not written by one.")
        return config

    def settings(self) -> Settings:
        """The `Settings` that the run was trained with; those of an older version are read, too."""
        return read_settings(self.config()["settings"])

    def _numbered(self) -> list[Path]:
        return sorted(self.checkpoints.glob("iteration_*.keras"))

    def save(self, learner: EpisodicLearner, is_best: bool = False) -> None:
        """Writes a checkpoint, optimizer state included, and drops all but the last three.

        Args:
            learner: compiled `EpisodicLearner`.
            is_best: keeps a copy as the best one, too.
        """
        iteration = int(learner.optimizer.iterations)
        partial, copy = self.checkpoints / "partial.keras", self.checkpoints / "partial_best.keras"
        learner.save(partial)
        if is_best:
            shutil.copyfile(partial, copy)
            os.replace(copy, self.checkpoints / "best.keras")
        os.replace(partial, self.checkpoints / f"iteration_{iteration:08d}.keras")
        for old in self._numbered()[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def latest(self) -> Path | None:
        """Path of the newest checkpoint, None where there is none."""
        return next(iter(reversed(self._numbered())), None)

    def find(self, iteration: int = -1) -> Path:
        """Path of the checkpoint to evaluate.

        Args:
            iteration: a meta-iteration that was kept; -1 for the best on validation.

        Raises:
            ValueError: if it isn't there.
        """
        path = self.checkpoints / f"iteration_{iteration:08d}.keras"
        if iteration < 0:
            path = self.checkpoints / "best.keras"
            path = path if path.is_file() else self.latest()
        if path is None or not path.is_file():
            kept = [int(p.stem.split("_")[1]) for p in self._numbered()]
            raise ValueError(
                f"No checkpoint of iteration {iteration} in {self.checkpoints}. Kept are "
                f"iterations {kept or 'none'}; train, or name one with `checkpoint_iteration`."
            )
        return path

    def check_single_test_checkpoint(self, split: str, iteration: int) -> None:
        """Refuses a second checkpoint on the test split: the best of several is no fair estimate.

        Args:
            split: "test" or "val".
            iteration: the checkpoint that the user names; -1 for the best on validation.

        Raises:
            ValueError: if another named checkpoint was evaluated on the test split before.
        """
        if split != "test" or iteration < 0:
            return
        tested = self.path / "tested_checkpoint.json"
        first = read_json(tested) if tested.is_file() else iteration
        if first != iteration:
            raise ValueError(
                f"`checkpoint_iteration={iteration}` would be the second checkpoint of {self.path} "
                f"on the test split, after {first}, and the better of two is not a fair estimate. "
                "Choose on the validation split (`use_test_split=False`), or leave "
                "`checkpoint_iteration` out to get the best one on it."
            )
        write_json(tested, iteration)

    def rows(self) -> list[dict[str, float]]:
        """The rows of metrics.csv, dicts of floats."""
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
