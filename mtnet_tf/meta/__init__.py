"""The mathematics: inner loop, update rules, mask sampler, losses per task, meta-step.

May import: `layers`, `tasks`, `seeds`, `_keras`.
"""

from mtnet_tf.layers import SetStatistics
from mtnet_tf.meta.accumulation import PartialSum, accumulate, partial_sum, result_of
from mtnet_tf.meta.inner_loop import (
    InnerTrajectory,
    Masks,
    adapt,
    choose_rule,
    initial_fast_weights,
)
from mtnet_tf.meta.labels import check_labels
from mtnet_tf.meta.loss_shapes import TaskLoss, matching_pair
from mtnet_tf.meta.losses import FewShotCrossentropy, FirstLogits, task_losses, task_means
from mtnet_tf.meta.mask_sampler import MaskSampler, align_masks
from mtnet_tf.meta.meta_step import (
    InnerOptions,
    MetaLoss,
    adapt_to_support,
    count_tasks,
    flatten_tasks,
    meta_gradients,
    meta_loss,
    predict,
    query_loss,
    set_losses,
    unflatten_tasks,
    value_and_gradients,
)
from mtnet_tf.meta.outputs import (
    class_numbers,
    ignored_class,
    output_kind,
    predicted_classes,
    probabilities,
)
from mtnet_tf.meta.per_task import check_no_activity_regularizers, single_output
from mtnet_tf.meta.update_rules import GradientDescent, StepSize, UpdateRule

__all__ = [
    "FewShotCrossentropy",
    "FirstLogits",
    "GradientDescent",
    "InnerOptions",
    "InnerTrajectory",
    "MaskSampler",
    "Masks",
    "MetaLoss",
    "PartialSum",
    "SetStatistics",
    "StepSize",
    "TaskLoss",
    "UpdateRule",
    "accumulate",
    "adapt",
    "adapt_to_support",
    "align_masks",
    "check_labels",
    "check_no_activity_regularizers",
    "choose_rule",
    "class_numbers",
    "count_tasks",
    "flatten_tasks",
    "ignored_class",
    "initial_fast_weights",
    "matching_pair",
    "meta_gradients",
    "meta_loss",
    "output_kind",
    "partial_sum",
    "predict",
    "predicted_classes",
    "probabilities",
    "query_loss",
    "result_of",
    "set_losses",
    "single_output",
    "task_losses",
    "task_means",
    "unflatten_tasks",
    "value_and_gradients",
]
