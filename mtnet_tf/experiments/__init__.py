"""Command-line experiments: settings, data, training, run folders, reports and plots.

May import: `learners`, `evaluation`, `networks`, `meta`, `tasks`, `_version`, `data_prep`.
"""

from mtnet_tf.experiments.build import (
    build_learner,
    build_network,
    compile_learner,
    make_optimizer,
    query_loss_unit,
    support_loss_unit,
)
from mtnet_tf.experiments.checkpoint import load_learner
from mtnet_tf.experiments.compare_runs import Result, align, compare, read_results
from mtnet_tf.experiments.compilation_cache import (
    load_compiled_programs,
    start_compilation_cache,
)
from mtnet_tf.experiments.devices import Devices, WorkerLostError
from mtnet_tf.experiments.flags import (
    ACTIONS,
    FLAG_OF,
    FLAGS,
    as_flags,
    check_names,
    default_of,
    fields_of,
    help_of,
    read_settings,
    resolve,
)
from mtnet_tf.experiments.plots import plot_scores
from mtnet_tf.experiments.recipes import DATA_SOURCES, IMAGES
from mtnet_tf.experiments.reports import run_name, settings_table, task_name, title
from mtnet_tf.experiments.run_evaluation import evaluate_run
from mtnet_tf.experiments.run_folder import Run
from mtnet_tf.experiments.settings import DEFAULTS, Settings, check_same_run
from mtnet_tf.experiments.terminal import exit_status, say
from mtnet_tf.experiments.training_run import train_run

__all__ = [
    "ACTIONS",
    "DATA_SOURCES",
    "DEFAULTS",
    "Devices",
    "FLAGS",
    "FLAG_OF",
    "IMAGES",
    "Result",
    "Run",
    "Settings",
    "WorkerLostError",
    "align",
    "as_flags",
    "build_learner",
    "build_network",
    "check_names",
    "check_same_run",
    "compare",
    "compile_learner",
    "default_of",
    "evaluate_run",
    "exit_status",
    "fields_of",
    "help_of",
    "load_compiled_programs",
    "load_learner",
    "make_optimizer",
    "plot_scores",
    "query_loss_unit",
    "read_results",
    "read_settings",
    "resolve",
    "run_name",
    "say",
    "settings_table",
    "start_compilation_cache",
    "support_loss_unit",
    "task_name",
    "title",
    "train_run",
]
