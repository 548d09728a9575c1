"""Every method of the paper's Tables 1 and 3, with the tasks and the evaluator of `mtnet_tf`."""

from maml_baselines.methods import METHODS, Method
from maml_baselines.resolving import build_learner, resolve

__all__ = ["METHODS", "Method", "build_learner", "resolve"]
