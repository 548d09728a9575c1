"""TODO mtnet_tf.meta."""

from mtnet_tf.meta.inner_loop import Adaptation, adapt, initial_fast_weights
from mtnet_tf.meta.losses import (
    FewShotCrossentropy,
    FirstLogits,
    output_kind,
    probabilities,
    task_losses,
)
from mtnet_tf.meta.mask_sampler import MaskSampler
from mtnet_tf.meta.meta_step import (
    MetaLoss,
    adapt_to_support,
    count_tasks,
    fold_tasks,
    meta_gradients,
    meta_loss,
    predict,
    query_loss,
    value_and_gradients,
)
from mtnet_tf.meta.per_task import refuse_activity_regularizers
from mtnet_tf.meta.update_rules import UpdateRule

__all__ = [
    "Adaptation",
    "FewShotCrossentropy",
    "FirstLogits",
    "MaskSampler",
    "MetaLoss",
    "UpdateRule",
    "adapt",
    "adapt_to_support",
    "count_tasks",
    "fold_tasks",
    "initial_fast_weights",
    "meta_gradients",
    "meta_loss",
    "output_kind",
    "predict",
    "probabilities",
    "query_loss",
    "refuse_activity_regularizers",
    "task_losses",
    "value_and_gradients",
]
