"""Reading a checkpoint."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras

# What a damaged .keras file, a zip of JSON and HDF5, has been seen to raise.
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


def load_learner(path: str | Path) -> Any:
    """Loads a checkpoint, optimizer state included.

    Raises:
        ValueError: if the file can't be read as one.
    """
    try:
        return keras.saving.load_model(path)
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} is not a readable checkpoint of this package ({reason}). Delete it to go on "
            "from the one before, or train again from the start with `resume=False`."
        ) from error
