"""Scores over distinct episodes, their confidence intervals, and calibration.

May import: `meta`, `tasks`, `layers`, `seeds`.
"""

from mtnet_tf.evaluation.calibration import calibration, confusion
from mtnet_tf.evaluation.evaluate import Evaluation, evaluate
from mtnet_tf.evaluation.intervals import bootstrap_interval, summarize

__all__ = [
    "Evaluation",
    "bootstrap_interval",
    "calibration",
    "confusion",
    "evaluate",
    "summarize",
]
