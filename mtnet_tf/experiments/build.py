"""From settings to a learner: the paper's networks, losses and optimizer."""

import keras

from mtnet_tf.learners import MetaLearner
from mtnet_tf.meta import FewShotCrossentropy
from mtnet_tf.networks import convolutional_network, dense_image_network, regression_network
from mtnet_tf.tasks import ImageClasses

# Four halvings by 2x2 pooling leave nothing of smaller pictures.
SMALLEST_POOLED = 16


def build_network(settings, tasks, *, head=True, after_block=None):
    """The paper's network for these tasks.

    Args:
      settings: dict, see `settings.resolve`.
      tasks: `TaskDistribution`.
      head: False leaves the last cell out, for pictures: the outputs are features.
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
        return regression_network(tasks.num_inputs, 1, dim_hidden=hidden, **options)
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


def support_loss_unit(settings):
    """How many times the mean over a support set the loss is: N on pictures, else 1."""
    return float(settings.num_ways) if settings.is_image else 1.0


def query_loss_unit(settings, tasks):
    """How many times the mean over a query set the loss is: N Q / K on pictures, else 1."""
    return support_loss_unit(settings) * (
        tasks.num_queries / tasks.num_shots if settings.is_image else 1.0
    )


def make_optimizer(settings, learning_rate=None, clip=10.0):
    """The authors' optimizer of the meta-step.

    Args:
      settings: dict, see `settings.resolve`.
      learning_rate: number or schedule, None for that of the settings.
      clip: largest entry of a gradient, on photographs; the authors' in the unit of the query
        loss.
    """
    is_photograph = settings.data_source in ("miniimagenet", "folder")
    learning_rate = settings.meta_learning_rate if learning_rate is None else learning_rate
    clip = clip if is_photograph else None
    return keras.optimizers.Adam(learning_rate, epsilon=1e-8, clipvalue=clip)


def compile_learner(learner, settings, optimizer=None):
    """(Re)compiles with the authors' optimizer, or a given one, and losses in their unit."""
    is_image = settings.is_image
    learner.compile(
        optimizer or make_optimizer(settings),
        FewShotCrossentropy(settings.num_shots) if is_image else "mean_squared_error",
        metrics=["accuracy"] if is_image else None,
        jit_compile=settings.jit_compile and not settings.run_eagerly,
        run_eagerly=settings.run_eagerly,
    )
    return learner


def build_learner(settings, tasks, *, model=None, kind=MetaLearner, optimizer=None, **options):
    """A new learner, compiled.

    Args:
      settings: dict, see `settings.resolve`.
      tasks: `TaskDistribution` to train on.
      model: Keras model, None for the paper's network.
      kind: `MetaLearner` or a subclass.
      optimizer: of the meta-step, None for the authors'.
      **options: further arguments of `kind`.

    Returns:
      `MetaLearner`.
    """
    if options.get("update_rule") is None:
        options["step_size"] = settings.step_size
    learner = kind(
        model or build_network(settings, tasks),
        num_inner_steps=settings.num_inner_steps,
        first_order=settings.first_order,
        redraw_masks=settings.redraw_masks,
        seed=settings.seed,
        **options,
    )
    return compile_learner(learner, settings, optimizer)
