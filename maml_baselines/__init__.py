"""Every method of the paper's Tables 1 and 3, with the tasks and the evaluator of `mtnet_tf`."""

import contextlib
import sys

from data_prep.io import quiet_start

# `python -m maml_baselines` imports this file before `__main__`, with "-m" for the program's name.
_is_command = sys.argv[:1] == ["-m"]
with quiet_start("maml_baselines") if _is_command else contextlib.nullcontext():
    # First, because it checks the backend of Keras.
    from mtnet_tf import __version__  # noqa: F401

    # isort: split
    from maml_baselines.methods import METHODS, Method
    from maml_baselines.resolving import build_learner, resolve

__all__ = ["METHODS", "Method", "build_learner", "resolve"]
