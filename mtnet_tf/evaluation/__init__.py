"""Scores over distinct episodes, their confidence intervals, and calibration.

May import: `meta`, `tasks`, `seeds`, `data_prep.io`.
"""

from mtnet_tf.evaluation.calibration import Calibration, calibration, confusion, count_confusions
from mtnet_tf.evaluation.evaluate import Evaluation, Learner, evaluate
from mtnet_tf.evaluation.intervals import Summary, bootstrap_interval, summarize
from mtnet_tf.evaluation.regression_curves import RegressionCurves, regression_curves
from mtnet_tf.seeds import Purpose

__all__ = [
    "Calibration",
    "Evaluation",
    "Learner",
    "Purpose",
    "RegressionCurves",
    "Summary",
    "bootstrap_interval",
    "calibration",
    "confusion",
    "count_confusions",
    "evaluate",
    "regression_curves",
    "summarize",
]
