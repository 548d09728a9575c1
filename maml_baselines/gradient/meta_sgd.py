"""Meta-SGD (Li et al. 2017): a meta-learned step size for every parameter."""

import keras
import tensorflow as tf

from mtnet_tf import UpdateRule
from mtnet_tf.experiments import build_learner, support_loss_unit


@keras.saving.register_keras_serializable(package="maml_baselines")
class MetaSGDRule(UpdateRule):
    """`weights - rate * gradient`, a rate for each entry (Li et al. 2017, eq. 5).

    A rate may become negative or zero: direction and length of a step are both learned. With
    rates that are all the same and stay so, this is MAML.
    """

    def __init__(self, initial_rate, loss_unit=1.0, **kwargs):
        """Creates the rule.

        Args:
          initial_rate: of all entries, for gradients of the mean loss.
          loss_unit: how many times the mean the loss is. Adam moves a rate by about the meta
            learning rate, so that its unit decides how fast it is learned.
          **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.initial_rate = initial_rate
        self.loss_unit = loss_unit

    def build(self, input_shape):
        """Creates a rate for each entry of each task weight."""
        constant = keras.initializers.Constant(self.initial_rate)
        self.rates = [
            self.add_weight(name=f"rate_{i}", shape=shape, initializer=constant)
            for i, shape in enumerate(input_shape)
        ]
        self.built = True

    def update(self, step, weights, gradients, losses, state):
        """See `UpdateRule`."""
        rates = [tf.convert_to_tensor(rate.value) / self.loss_unit for rate in self.rates]
        moved = zip(weights, rates, gradients, strict=True)
        return [w - rate * g for w, rate, g in moved], None

    def get_config(self):
        """Arguments to create the rule again."""
        config = {"initial_rate": self.initial_rate, "loss_unit": self.loss_unit}
        return {**super().get_config(), **config}


def build(settings, tasks):
    """The paper's network with a rate per parameter, compiled."""
    unit = support_loss_unit(settings)
    rule = MetaSGDRule(settings.step_size * unit, unit)
    return build_learner(settings, tasks, update_rule=rule)
