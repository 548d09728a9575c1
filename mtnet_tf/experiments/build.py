"""From settings to a learner: the paper's networks, losses and optimizer."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import keras

from mtnet_tf.experiments.settings import Settings
from mtnet_tf.learners import EpisodicLearner, MetaLearner
from mtnet_tf.meta import FewShotCrossentropy, UpdateRule
from mtnet_tf.networks import convolutional_network, dense_image_network, regression_network
from mtnet_tf.tasks import ImageClasses, TaskDistribution

L = TypeVar("L", bound=EpisodicLearner)
M = TypeVar("M", bound=MetaLearner)
# Smaller images would vanish after four poolings of 2x2.
SMALLEST_POOLED = 16


def build_network(
    settings: Settings,
    tasks: TaskDistribution,
    *,
    head: bool = True,
    after_block: Callable[[int], keras.layers.Layer] | None = None,
) -> keras.Sequential:
    """The paper's network for these tasks.

    Args:
        settings: settings of the run.
        tasks: tasks to train on.
        head: False omits the last cell of a network for images, whose outputs are then features.
        after_block: see `convolutional_network`.

    Returns:
        `keras.Sequential`.
    """
    mask = ("unit" if settings.unit_mask else "weight") if settings.use_mask else None
    cells = {"transform": settings.use_transform, "mask": mask, "temperature": settings.temperature}
    cells["hard_mask"] = not settings.soft_masks
    if mask == "unit":
        cells["mask_initializer"] = {
            "class_name": "Constant",
            "config": {"value": settings.initial_mask_logits},
        }
    options = {"norm": settings.norm, "cell_options": cells, "seed": settings.seed}
    options["after_block"] = after_block
    if not isinstance(tasks, ImageClasses):
        hidden = (settings.hidden_units,) * 2
        return regression_network(cast(Any, tasks).num_inputs, 1, dim_hidden=hidden, **options)
    num_ways = settings.num_ways if head else None
    if not settings.convolutional:
        return dense_image_network(tasks.image_shape, num_ways, **options)
    return convolutional_network(
        tasks.image_shape,
        num_ways,
        num_filters=settings.num_filters,
        max_pool=settings.max_pooling and min(tasks.image_shape[:2]) >= SMALLEST_POOLED,
        flatten=settings.data_source != "omniglot",
        **options,
    )


def support_loss_unit(settings: Settings) -> float:
    """The support loss as a multiple of its mean over examples: N for images, else 1."""
    return float(settings.num_ways) if settings.is_image else 1.0


def query_loss_unit(settings: Settings, tasks: TaskDistribution) -> float:
    """The query loss as a multiple of its mean over examples: N Q / K for images, else 1."""
    return support_loss_unit(settings) * (
        tasks.num_queries / tasks.num_shots if settings.is_image else 1.0
    )


def make_optimizer(
    settings: Settings,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | None = None,
    clip: float | None = 10.0,
) -> keras.optimizers.Optimizer:
    """The authors' optimizer of the meta-step.

    Args:
        settings: settings of the run.
        learning_rate: number or schedule; None for that of the settings.
        clip: limit of each entry of a gradient, for photographs only; None for no limit. The
            default is that of the authors, in the unit of the query loss.
    """
    is_photograph = settings.data_source in ("miniimagenet", "folder")
    rate: Any = settings.meta_learning_rate if learning_rate is None else learning_rate
    clip = clip if is_photograph else None
    return keras.optimizers.Adam(rate, epsilon=1e-8, clipvalue=clip)


def compile_learner(
    learner: L, settings: Settings, optimizer: keras.optimizers.Optimizer | None = None
) -> L:
    """Compiles with the authors' optimizer, or a given one, their loss and the settings' memory.

    Args:
        learner: learner to compile.
        settings: settings of the run.
        optimizer: optimizer of the meta-step; None for that of the authors.

    Returns:
        The learner.
    """
    is_image = settings.is_image
    # With the name of a metric, Keras would create its variables while it traces the first step,
    # and TensorFlow would trace that step twice.
    accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    learner.task_chunk = settings.task_chunk or None
    learner.compile(
        optimizer or make_optimizer(settings),
        FewShotCrossentropy(settings.num_shots) if is_image else "mean_squared_error",
        metrics=[accuracy] if is_image else None,
        jit_compile=settings.jit_compile and not settings.run_eagerly,
        run_eagerly=settings.run_eagerly,
    )
    return learner


def build_learner(
    settings: Settings,
    tasks: TaskDistribution,
    *,
    model: keras.Model | None = None,
    kind: Callable[..., M] = MetaLearner,
    optimizer: keras.optimizers.Optimizer | None = None,
    update_rule: UpdateRule | None = None,
    adapt_layers: Sequence[str | keras.layers.Layer] | None = None,
) -> M:
    """A new learner, compiled.

    Args:
        settings: settings of the run.
        tasks: tasks to train on.
        model: Keras model; None for the paper's network.
        kind: `MetaLearner`, a subclass, or a `functools.partial` of one.
        optimizer: optimizer of the meta-step; None for that of the authors.
        update_rule: rule of the inner steps; None for gradient descent with the step size of the
            settings.
        adapt_layers: see `MetaLearner`.

    Returns:
        A learner of this kind.
    """
    learner = kind(
        model or build_network(settings, tasks),
        settings.step_size if update_rule is None else None,
        settings.num_inner_steps,
        update_rule=update_rule,
        adapt_layers=adapt_layers,
        first_order=settings.first_order,
        redraw_masks=settings.redraw_masks,
        seed=settings.seed,
    )
    return compile_learner(learner, settings, optimizer)
