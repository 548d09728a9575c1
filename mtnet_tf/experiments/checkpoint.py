"""Reading a checkpoint, and the validation that is stored in it.

The metrics of a validation are in the file of the checkpoint itself, so that a score cannot belong
to another checkpoint, even if the process is killed between two writes.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import keras

from data_prep.io import user_path
from mtnet_tf.learners import EpisodicLearner

# Member of the .keras file; Keras ignores it.
_VALIDATION = "mtnet_tf_validation.json"
# Errors that damaged .keras files (a zip of JSON and HDF5) were observed to raise.
_UNREADABLE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_learner(path: str | Path) -> EpisodicLearner:
    """Loads a checkpoint, optimizer state included.

    Args:
        path: path of a .keras file that a run has saved.

    Returns:
        The learner, compiled.

    Raises:
        ValueError: if the file is not a readable checkpoint.
    """
    path = user_path(path)
    try:
        return cast(EpisodicLearner, keras.saving.load_model(path))
    except _UNREADABLE as error:
        if not path.exists():
            raise ValueError(
                f"{path} does not exist. If its run is being trained, it may just have been "
                "replaced by a newer checkpoint: repeat the command."
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} is not a readable checkpoint of this package ({reason}). Delete it to resume "
            "from the previous one, or train again from the start with `resume=False`."
        ) from error


def store_validation(path: str | Path, metrics: Mapping[str, float]) -> None:
    """Adds the metrics of a validation to a checkpoint.

    Args:
        path: path of a .keras file that nobody reads yet.
        metrics: row of metrics.csv.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_VALIDATION, json.dumps(dict(metrics)))


def read_validation(path: str | Path) -> dict[str, float] | None:
    """The metrics of the validation of a checkpoint; None if it contains none.

    Checkpoints of older versions, and those of an interruption, contain none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(_VALIDATION))
    except _UNREADABLE:
        return None
