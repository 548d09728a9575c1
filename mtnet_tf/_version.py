"""The version of this package and of what its numbers depend on."""

import importlib
import os
import platform

__version__ = "0.2.0.dev0"


def versions() -> dict[str, str]:
    """Versions of the packages that the results depend on."""
    names = ("tensorflow", "keras", "numpy")
    found = {name: importlib.import_module(name).__version__ for name in names}
    return {"mtnet_tf": __version__, **found, "python": platform.python_version()}


def check_backend() -> None:
    """Checks that Keras computes with TensorFlow.

    Raises:
        ImportError: if the environment or Keras' configuration file names another backend.
    """
    try:
        backend = importlib.import_module("keras").config.backend()
    except (ImportError, ValueError) as error:  # the other backend is not installed or unknown
        # Without the variable, the backend is that of the configuration file.
        backend = os.environ.get("KERAS_BACKEND") or getattr(error, "name", None)
        if backend in (None, "keras", "tensorflow"):
            raise
    if backend != "tensorflow":
        raise ImportError(
            f"mtnet_tf requires Keras with the backend tensorflow. Received: {backend}. Set the "
            "environment variable KERAS_BACKEND=tensorflow before Keras is imported, or remove "
            "`backend` from ~/.keras/keras.json.",
            name="mtnet_tf",
        ) from None


check_backend()  # before anything else imports Keras
