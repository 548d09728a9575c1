"""MAML++ (Antoniou et al. 2019): MAML with a multi-step loss and learned step sizes."""

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, UpdateRule
from mtnet_tf.experiments import build_learner, make_optimizer, query_loss_unit, support_loss_unit
from mtnet_tf.meta import query_loss

# Of all iterations: the paper's multi-step loss for 15 of 150 epochs, first order for 50. The
# configurations of the authors' code differ among themselves, and none goes first order.
MULTI_STEP_FRACTION = 0.1
FIRST_ORDER_FRACTION = 1 / 3
FINAL_META_LEARNING_RATE = 1e-5
LARGEST_GRADIENT = 10.0  # an entry's, of the mean query loss; on photographs


@keras.saving.register_keras_serializable(package="maml_baselines")
class PerStepRates(UpdateRule):
    """`weights - rate[weight, step] * gradient` (LSLR, section 4).

    Beyond the steps it was trained with, the last step's rates go on.
    """

    def __init__(self, initial_rate, num_inner_steps, loss_unit=1.0, **kwargs):
        """Creates the rule.

        Args:
          initial_rate: of all weights and steps, for gradients of the mean loss.
          num_inner_steps: S, steps that have rates of their own, int >= 1.
          loss_unit: as of `MetaSGDRule`.
          **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.initial_rate = initial_rate
        self.num_inner_steps = num_inner_steps
        self.loss_unit = loss_unit

    def build(self, input_shape):
        """Creates the rates, [S] for each task weight."""
        constant = keras.initializers.Constant(self.initial_rate)
        self.rates = [
            self.add_weight(name=f"rate_{i}", shape=(self.num_inner_steps,), initializer=constant)
            for i in range(len(input_shape))
        ]
        self.built = True

    def update(self, step, weights, gradients, losses, state):
        """See `UpdateRule`."""
        row = min(step, self.num_inner_steps - 1)
        rates = [tf.convert_to_tensor(rate.value)[row] / self.loss_unit for rate in self.rates]
        moved = zip(weights, rates, gradients, strict=True)
        return [w - rate * g for w, rate, g in moved], None

    def get_config(self):
        """Arguments to create the rule again."""
        config = {"initial_rate": self.initial_rate, "num_inner_steps": self.num_inner_steps}
        return {**super().get_config(), **config, "loss_unit": self.loss_unit}


def step_importance(num_inner_steps, progress):
    """Weights of the query losses after steps 1 to S (MSL, section 4).

    All the same at first; those before the last fall linearly to nothing.

    Args:
      num_inner_steps: S.
      progress: scalar in [0, 1], how much of the annealing is over.

    Returns:
      Tensor [S] that sums to 1.
    """
    early = (1.0 - progress) / num_inner_steps
    return tf.stack([early] * (num_inner_steps - 1) + [1.0 - early * (num_inner_steps - 1)])


@keras.saving.register_keras_serializable(package="maml_baselines")
class MAMLPlusPlus(MetaLearner):
    """MAML whose meta-loss looks at every inner step, and whose first third is first order.

    `sum over steps s of v[s] * query loss after step s` (eq. 4).

    Deviations: normalisation has one offset for all inner steps, where section 4 learns one per
    step (its statistics are those of the set at hand, as here); and one network answers, where the
    paper's numbers are of an ensemble of the best epochs.
    """

    has_planned_length = True

    def __init__(self, *args, multi_step_iterations=0, first_order_iterations=0, **kwargs):
        """Creates the learner.

        Args:
          *args: as of `MetaLearner`.
          multi_step_iterations: meta-iterations until only the last step's loss counts.
          first_order_iterations: meta-iterations without second derivatives, at the start.
          **kwargs: as of `MetaLearner`.
        """
        super().__init__(*args, **kwargs)
        self.multi_step_iterations = multi_step_iterations
        self.first_order_iterations = first_order_iterations

    def inner_options(self, num_inner_steps, masks, *, training=False):
        """Those of `MetaLearner`, in training first order for the first iterations."""
        options = super().inner_options(num_inner_steps, masks, training=training)
        if not training or self.first_order or not self.first_order_iterations:
            return options
        early = tf.convert_to_tensor(self.optimizer.iterations) < self.first_order_iterations
        return {**options, "first_order": early}

    def meta_loss(self, episode, seed, *, training):
        """Eq. 4 in training; in validation the query loss after the last step."""
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

    def _loss_after(self, step, trajectory, episode):
        early = trajectory.until(step)
        return query_loss(self.model, self.task_weights, self.task_loss, episode, early).value

    def get_config(self):
        """Arguments to create the learner again."""
        return {
            **super().get_config(),
            "multi_step_iterations": self.multi_step_iterations,
            "first_order_iterations": self.first_order_iterations,
        }


def build(settings, tasks):
    """The paper's network; Adam's learning rate falls along a cosine."""
    total = settings.num_meta_iterations
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.meta_learning_rate,
        max(1, total),
        alpha=FINAL_META_LEARNING_RATE / settings.meta_learning_rate,
    )
    clip = LARGEST_GRADIENT * query_loss_unit(settings, tasks)
    unit = support_loss_unit(settings)
    rule = PerStepRates(settings.step_size * unit, max(1, settings.num_inner_steps), unit)
    return build_learner(
        settings,
        tasks,
        kind=MAMLPlusPlus,
        optimizer=make_optimizer(settings, schedule, clip),
        update_rule=rule,
        multi_step_iterations=round(total * MULTI_STEP_FRACTION),
        first_order_iterations=round(total * FIRST_ORDER_FRACTION),
    )
