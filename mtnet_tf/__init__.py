"""MT-nets and T-nets (Lee & Choi, ICML 2018) as Keras layers and a Keras trainer."""

import importlib
import warnings
from typing import Any

from mtnet_tf._version import __version__
from mtnet_tf.conversion import fold, to_mtnet
from mtnet_tf.diagnostics import Audit, audit
from mtnet_tf.evaluation import Evaluation, bootstrap_interval, evaluate, summarize
from mtnet_tf.layers import (
    BlockMaxPooling2D,
    ExactGroupNormalization,
    ExactLayerNormalization,
    MaskLogits,
    TaskBatchNormalization,
    TWConv1D,
    TWConv2D,
    TWDense,
    TWDepthwiseConv2D,
    TWLayer,
)
from mtnet_tf.learners import EpisodicLearner, MetaLearner
from mtnet_tf.meta import FewShotCrossentropy, GradientDescent, UpdateRule, adapt
from mtnet_tf.networks import convolutional_network, dense_image_network, regression_network
from mtnet_tf.pictures import FewShotClassifier
from mtnet_tf.tasks import Episode, ImageClasses, Polynomials, Sinusoids, TaskDistribution

__all__ = [
    "Audit",
    "BlockMaxPooling2D",
    "Episode",
    "EpisodicLearner",
    "Evaluation",
    "ExactGroupNormalization",
    "ExactLayerNormalization",
    "FewShotClassifier",
    "FewShotCrossentropy",
    "GradientDescent",
    "ImageClasses",
    "MaskLogits",
    "MetaLearner",
    "Polynomials",
    "Sinusoids",
    "TWConv1D",
    "TWConv2D",
    "TWDense",
    "TWDepthwiseConv2D",
    "TWLayer",
    "TaskBatchNormalization",
    "TaskDistribution",
    "UpdateRule",
    "__version__",
    "adapt",
    "audit",
    "bootstrap_interval",
    "convolutional_network",
    "dense_image_network",
    "evaluate",
    "fold",
    "regression_network",
    "summarize",
    "to_mtnet",
]

# Names of version 0.1.0 that have been renamed or moved.
_RENAMED = {
    "ExampleGroupNormalization": "layers.ExactGroupNormalization",
    "ExampleLayerNormalization": "layers.ExactLayerNormalization",
    "adapted_model": "adaptation.adapted_model",
    "analysis": "diagnostics.analysis",
    "audit_report": "diagnostics.audit_report",
    "calibration": "evaluation.calibration",
    "comparison": "experiments.compare_runs",
    "contact_sheet": "pictures.contact_sheet",
    "convert": "conversion.convert",
    "datasets": "experiments.data",
    "episode_batches": "tasks.user_episodes",
    "episode_streams": "tasks.streams",
    "episodic_learner": "learners.episodic_learner",
    "evaluation_report": "experiments.evaluation_report",
    "experiment": "experiments.build",
    "export": "adaptation.saved_model",
    "fast_weights": "layers.fast_weights",
    "few_shot_classifier": "pictures.few_shot_classifier",
    "folding": "conversion.fold",
    "inner_loop": "meta.inner_loop",
    "intervals": "evaluation.intervals",
    "learner": "learners.meta_learner",
    "losses": "meta.losses",
    "mapped": "meta.per_task",
    "masks": "layers.masks",
    "meta_step": "meta.meta_step",
    "numerical": "diagnostics.numerical_derivatives",
    "plots": "experiments.plots",
    "prediction": "pictures.prediction",
    "preparation": "pictures.image_preparation",
    "rebuilding": "conversion.rebuilding",
    "recipes": "experiments.recipes",
    "reports": "experiments.reports",
    "run_experiment": "experiments.run",
    "runs": "experiments.run_folder",
    "settings": "experiments.settings",
    "stock_normalization": "diagnostics.stock_layers",
    "task_weights": "layers.task_weights",
    "training": "experiments.train",
    "update_rule": "meta.update_rules",
}


def __getattr__(name: str) -> Any:
    """Returns what version 0.1.0 had under this name, and warns with the new name."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, leaf = f"{__name__}.{_RENAMED[name]}".rpartition(".")
    warnings.warn(
        f"`{__name__}.{name}` is now `{module}.{leaf}`.", DeprecationWarning, stacklevel=2
    )
    parent = importlib.import_module(module)
    if leaf[0].isupper():
        return getattr(parent, leaf)
    return importlib.import_module(f"{module}.{leaf}")
