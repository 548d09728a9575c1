"""MAML++ (Antoniou et al. 2019, section 4): MAML with a multi-step loss and learned step sizes.

`meta-loss = sum over inner steps s of v[s] * query loss after step s` (eq. 4), with a learned step
size for each weight and inner step, and first-order meta-gradients at the start of training.

Deviations: normalisation has one offset for all inner steps (section 4: one per step). One network
predicts (the paper's numbers: an ensemble of the checkpoints of the best epochs).
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, UpdateRule
from mtnet_tf.experiments import (
    Settings,
    build_learner,
    make_optimizer,
    query_loss_unit,
    support_loss_unit,
)
from mtnet_tf.layers import validate_integer, validate_positive
from mtnet_tf.meta import InnerOptions, InnerTrajectory, Masks, MetaLoss, query_loss
from mtnet_tf.tasks import Episode, TaskDistribution

# Fractions of all iterations. The paper uses the multi-step loss for 15 of 150 epochs and
# first-order gradients for 50. The configurations of the authors' code have other values, and none
# uses first-order gradients.
MULTI_STEP_FRACTION = 0.1
FIRST_ORDER_FRACTION = 1 / 3
FINAL_META_LEARNING_RATE = 1e-5
LARGEST_GRADIENT = 10.0  # of the mean query loss, per entry, for photographs


@keras.saving.register_keras_serializable(package="maml_baselines")
class PerStepRates(UpdateRule):
    """`weights - rate[weight, step] * gradient` (LSLR, section 4).

    Steps after the S-th one use the rates of the S-th.

    Attributes:
        rates: list with a variable [S] for each task weight.
    """

    rates: list[keras.Variable]

    def __init__(
        self, initial_rate: float, num_inner_steps: int, loss_unit: float = 1.0, **kwargs: Any
    ) -> None:
        """Creates the rule.

        Args:
            initial_rate: initial step size of all weights and steps, per mean loss.
            num_inner_steps: S, number of steps with different rates, int >= 1.
            loss_unit: ratio of the loss to the mean loss, see `MetaSGDRule`.
            **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.initial_rate = validate_positive("initial_rate", initial_rate)
        self.num_inner_steps = validate_integer("num_inner_steps", num_inner_steps, 1)
        self.loss_unit = validate_positive("loss_unit", loss_unit)

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Creates the rates, [S] for each task weight."""
        constant = keras.initializers.Constant(self.initial_rate)
        self.rates = [
            self.add_weight(name=f"rate_{i}", shape=(self.num_inner_steps,), initializer=constant)
            for i in range(len(input_shape))
        ]
        self.built = True

    def update(
        self,
        step: int,
        weights: list[tf.Tensor],
        gradients: list[tf.Tensor],
        losses: tf.Tensor,
        state: Any,
    ) -> tuple[list[tf.Tensor], Any]:
        """One inner step, see `UpdateRule.update`. There is no state."""
        row = min(step, self.num_inner_steps - 1)
        rates = [tf.convert_to_tensor(rate.value)[row] / self.loss_unit for rate in self.rates]
        moved = zip(weights, rates, gradients, strict=True)
        return [w - rate * g for w, rate, g in moved], None

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        config = {"initial_rate": self.initial_rate, "num_inner_steps": self.num_inner_steps}
        return {**super().get_config(), **config, "loss_unit": self.loss_unit}


def step_importance(num_inner_steps: int, progress: tf.Tensor | float) -> tf.Tensor:
    """The weights v of the query losses after steps 1 to S (MSL, section 4).

    They are equal at first. All but the last fall linearly to zero.

    Example:
    >>> step_importance(4, 0.5).numpy().tolist()
    [0.125, 0.125, 0.125, 0.625]

    Args:
        num_inner_steps: S.
        progress: scalar in [0, 1], the fraction of the multi-step iterations that is over.

    Returns:
        Tensor [S] with sum 1.
    """
    early = (1.0 - progress) / num_inner_steps
    return tf.stack([early] * (num_inner_steps - 1) + [1.0 - early * (num_inner_steps - 1)])


@keras.saving.register_keras_serializable(package="maml_baselines")
class MAMLPlusPlus(MetaLearner):
    """MAML with a query loss after every inner step, and first-order iterations at the start.

    `meta-loss = sum over inner steps s of v[s] * query loss after step s` (eq. 4).
    """

    has_planned_length = True

    def __init__(
        self,
        *args: Any,
        multi_step_iterations: int = 0,
        first_order_iterations: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the learner.

        Args:
            *args: arguments of `MetaLearner`.
            multi_step_iterations: number of meta-iterations until only the loss after the last
                step counts.
            first_order_iterations: number of meta-iterations without second derivatives, at the
                start of training.
            **kwargs: further arguments of `MetaLearner`.
        """
        super().__init__(*args, **kwargs)
        self.multi_step_iterations = validate_integer(
            "multi_step_iterations", multi_step_iterations, 0
        )
        self.first_order_iterations = validate_integer(
            "first_order_iterations", first_order_iterations, 0
        )

    def inner_options(
        self, num_inner_steps: int, masks: Masks | None, *, training: bool = False
    ) -> InnerOptions:
        """Those of `MetaLearner`; first order in the first iterations of training."""
        options = super().inner_options(num_inner_steps, masks, training=training)
        if not training or self.first_order or not self.first_order_iterations:
            return options
        early = tf.convert_to_tensor(self.optimizer.iterations) < self.first_order_iterations
        return {**options, "first_order": early}

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """Eq. 4 in training; the query loss after the last step in validation."""
        result = super().meta_loss(episode, seed, training=training)
        if not (training and self.multi_step_iterations and self.num_inner_steps > 1):
            return result
        done = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), result.value.dtype)
        progress = tf.minimum(done / self.multi_step_iterations, 1.0)
        importance = step_importance(self.num_inner_steps, progress)
        losses = [
            self._loss_after(s, result.trajectory, episode) for s in range(1, self.num_inner_steps)
        ]
        losses.append(result.value)
        return result.with_value(tf.reduce_sum(importance * tf.stack(losses)))

    def _loss_after(self, step: int, trajectory: InnerTrajectory, episode: Episode) -> tf.Tensor:
        """The query loss after an inner step, scalar."""
        early = trajectory.until(step)
        return query_loss(self.model, self.task_weights, self.task_loss, episode, early).value

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {
            **super().get_config(),
            "multi_step_iterations": self.multi_step_iterations,
            "first_order_iterations": self.first_order_iterations,
        }


def build(settings: Settings, tasks: TaskDistribution) -> MAMLPlusPlus:
    """Builds the MT-net paper's network with MAML++; the learning rate of Adam follows a cosine."""
    total = settings.num_meta_iterations
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.meta_learning_rate,
        max(1, total),
        alpha=FINAL_META_LEARNING_RATE / settings.meta_learning_rate,
    )
    clip = LARGEST_GRADIENT * query_loss_unit(settings, tasks)
    unit = support_loss_unit(settings)
    rule = PerStepRates(settings.step_size * unit, max(1, settings.num_inner_steps), unit)
    kind = functools.partial(
        MAMLPlusPlus,
        multi_step_iterations=round(total * MULTI_STEP_FRACTION),
        first_order_iterations=round(total * FIRST_ORDER_FRACTION),
    )
    optimizer = make_optimizer(settings, schedule, clip)
    return build_learner(settings, tasks, kind=kind, optimizer=optimizer, update_rule=rule)
