"""Reading a checkpoint."""

import zipfile
import zlib
from pathlib import Path
from typing import cast

import keras

from mtnet_tf.learners import EpisodicLearner

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
    try:
        return cast(EpisodicLearner, keras.saving.load_model(path))
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} is not a readable checkpoint of this package ({reason}). Delete it to resume "
            "from the previous one, or train again from the start with `resume=False`."
        ) from error
