"""The version of this package and of what its numbers depend on."""

import platform

import keras
import numpy as np
import tensorflow as tf

__version__ = "0.2.0.dev0"


def versions() -> dict[str, str]:
    """Versions of the packages that the results depend on."""
    modules = {"tensorflow": tf, "keras": keras, "numpy": np}
    found = {name: module.__version__ for name, module in modules.items()}
    return {"mtnet_tf": __version__, **found, "python": platform.python_version()}
