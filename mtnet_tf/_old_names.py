"""The modules and names of version 0.1.0, which had one flat folder, and what replaced them.

Imports nothing: the modules that replaced others are found when an old name is used.
"""

import importlib
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

PACKAGE = __name__.partition(".")[0]

# Old module and new one.
MODULES = {
    "adapted_model": "mtnet_tf.adaptation.adapted_model",
    "analysis": "mtnet_tf.diagnostics.analysis",
    "audit": "mtnet_tf.diagnostics.audit",
    "audit_report": "mtnet_tf.diagnostics.audit_report",
    "calibration": "mtnet_tf.evaluation.calibration",
    "comparison": "mtnet_tf.experiments.compare_runs",
    "contact_sheet": "mtnet_tf.pictures.contact_sheet",
    "convert": "mtnet_tf.conversion.convert",
    "datasets": "mtnet_tf.experiments.data",
    "episode_batches": "mtnet_tf.tasks.user_episodes",
    "episode_streams": "mtnet_tf.tasks.streams",
    "episodic_learner": "mtnet_tf.learners.episodic_learner",
    "evaluation_report": "mtnet_tf.experiments.evaluation_report",
    "experiment": "mtnet_tf.experiments.build",
    "export": "mtnet_tf.adaptation.saved_model",
    "fast_weights": "mtnet_tf.layers.fast_weights",
    "few_shot_classifier": "mtnet_tf.pictures.few_shot_classifier",
    "folding": "mtnet_tf.conversion.fold",
    "inner_loop": "mtnet_tf.meta.inner_loop",
    "intervals": "mtnet_tf.evaluation.intervals",
    "layers.example_group_normalization": "mtnet_tf.layers.exact_group_normalization",
    "layers.example_layer_normalization": "mtnet_tf.layers.exact_layer_normalization",
    "learner": "mtnet_tf.learners.meta_learner",
    "losses": "mtnet_tf.meta.losses",
    "mapped": "mtnet_tf.meta.per_task",
    "masks": "mtnet_tf.layers.masks",
    "meta_step": "mtnet_tf.meta.meta_step",
    "numerical": "mtnet_tf.diagnostics.numerical_derivatives",
    "plots": "mtnet_tf.experiments.plots",
    "prediction": "mtnet_tf.pictures.prediction",
    "preparation": "mtnet_tf.pictures.image_preparation",
    "rebuilding": "mtnet_tf.conversion.rebuilding",
    "recipes": "mtnet_tf.experiments.recipes",
    "reports": "mtnet_tf.experiments.reports",
    "run_experiment": "mtnet_tf.experiments.training_run",
    "runs": "mtnet_tf.experiments.run_folder",
    "settings": "mtnet_tf.experiments.settings",
    "stock_normalization": "mtnet_tf.diagnostics.stock_layers",
    "task_weights": "mtnet_tf.layers.task_weights",
    "tasks.sampled_batches": "mtnet_tf.tasks.sampled_stream",
    "tasks.splits": "mtnet_tf.tasks.class_split",
    "training": "mtnet_tf.experiments.train",
    "update_rule": "mtnet_tf.meta.update_rules",
}

# Old name and new one, where the module above does not contain it, or not under this name.
NAMES = {
    "ExampleGroupNormalization": "mtnet_tf.layers.ExactGroupNormalization",
    "ExampleLayerNormalization": "mtnet_tf.layers.ExactLayerNormalization",
    "adaptation.Adapted": "mtnet_tf.adaptation.adapter.Adapted",
    "adaptation.STATISTICS": "mtnet_tf.adaptation.options.STATISTICS",
    "adaptation.shots": "mtnet_tf.adaptation.adapter.shots",
    "analysis.RegressionCurves": "mtnet_tf.evaluation.RegressionCurves",
    "analysis.regression_curves": "mtnet_tf.evaluation.regression_curves",
    "datasets.PictureSplit": "mtnet_tf.experiments.data.ImageSplit",
    "evaluation.MAX_REPEATED_DRAWS": "mtnet_tf.evaluation.evaluate.MAX_REPEATED_DRAWS",
    "evaluation.TASKS_PER_DRAW": "mtnet_tf.evaluation.evaluate.TASKS_PER_DRAW",
    "evaluation.fingerprint": "mtnet_tf.evaluation.evaluate.fingerprint",
    "evaluation.score_episode": "mtnet_tf.evaluation.evaluate.score_episode",
    "export.refuse_foreign": "mtnet_tf.adaptation.saved_model.check_export_folder",
    "fast_weights.FastWeights": "mtnet_tf.layers.FastWeightScope",
    "fast_weights.fast_weights": "mtnet_tf.layers.FastWeightScope",
    "inner_loop.Adaptation": "mtnet_tf.meta.InnerTrajectory",
    "layers.ExampleGroupNormalization": "mtnet_tf.layers.ExactGroupNormalization",
    "layers.ExampleLayerNormalization": "mtnet_tf.layers.ExactLayerNormalization",
    "layers.example_group_normalization.ExampleGroupNormalization": (
        "mtnet_tf.layers.ExactGroupNormalization"
    ),
    "layers.example_layer_normalization.ExampleLayerNormalization": (
        "mtnet_tf.layers.ExactLayerNormalization"
    ),
    "losses.output_kind": "mtnet_tf.meta.output_kind",
    "losses.probabilities": "mtnet_tf.meta.probabilities",
    "mapped.predict_mapped": "mtnet_tf.meta.per_task.predict_per_task",
    "mapped.refuse_activity_regularizers": "mtnet_tf.meta.check_no_activity_regularizers",
    "meta_step.MaskSampler": "mtnet_tf.meta.MaskSampler",
    "meta_step.align_masks": "mtnet_tf.meta.mask_sampler.align_masks",
    "meta_step.fold_tasks": "mtnet_tf.meta.flatten_tasks",
    "networks.ExampleLayerNormalization": "mtnet_tf.layers.ExactLayerNormalization",
    "numerical.check": "mtnet_tf.diagnostics.function_derivatives.check_derivatives",
    "numerical.suspects": "mtnet_tf.diagnostics.operations.suspects",
    "rebuilding.refuse_unknown_structure": "mtnet_tf.conversion.rebuilding.check_rebuildable",
    "run_experiment.check_leaks": "mtnet_tf.experiments.run_evaluation.check_leaks",
    "run_experiment.evaluate_run": "mtnet_tf.experiments.evaluate_run",
    "run_experiment.exit_status": "mtnet_tf.experiments.terminal.exit_status",
    "run_experiment.say": "mtnet_tf.experiments.terminal.say",
    "runs.load_learner": "mtnet_tf.experiments.checkpoint.load_learner",
    "runs.write_csv": "data_prep.io.write_csv",
    "runs.write_text": "data_prep.io.write_text",
    "runs.versions": "mtnet_tf._version.versions",
    "seeds.fold_in": "mtnet_tf.seeds.derive",
    "settings.ACTIONS": "mtnet_tf.experiments.flags.ACTIONS",
    "settings.AUTHORS": "mtnet_tf.experiments.flags.AUTHORS",
    "settings.OURS": "mtnet_tf.experiments.flags.OURS",
    "settings.help_of": "mtnet_tf.experiments.flags.help_of",
    "settings.resolve": "mtnet_tf.experiments.flags.resolve",
    "stock_normalization.refuse_stock_normalization": "mtnet_tf.diagnostics.check_stock_layers",
    "tasks.episode.TaskDistribution": "mtnet_tf.tasks.TaskDistribution",
}


def install() -> None:
    """Makes the old modules importable, and the old names attributes of theirs.

    Called once, when the package and all its subpackages are imported.
    """
    for old in MODULES:
        module: Any = types.ModuleType(f"{PACKAGE}.{old}", f"Now `{MODULES[old]}`.")
        module.__getattr__ = _lookup(old)
        sys.modules[module.__name__] = module
    changed = {name.rpartition(".")[0] for name in (*MODULES, *NAMES)}
    for old in changed - MODULES.keys():
        module = sys.modules[f"{PACKAGE}.{old}".rstrip(".")]
        module.__getattr__ = _lookup(old)


def _lookup(old: str) -> Callable[[str], Any]:
    """Returns the `__getattr__` of an old module, or of one that has lost names."""

    def find(name: str) -> Any:
        full = f"{old}.{name}".lstrip(".")
        if full in MODULES:  # the module itself does not warn, each of its names does
            return sys.modules[f"{PACKAGE}.{full}"]
        new = NAMES.get(full) or (f"{MODULES[old]}.{name}" if old in MODULES else None)
        if new is None or name.startswith("__"):
            raise AttributeError(f"module {PACKAGE}.{old} has no attribute {name!r}")
        parent, _, leaf = new.rpartition(".")
        value = getattr(importlib.import_module(parent), leaf)
        message = f"`{PACKAGE}.{full}` is now `{new}`."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return value

    return find
