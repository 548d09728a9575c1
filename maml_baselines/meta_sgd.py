"""Meta-SGD (Li et al. 2017): a meta-learned step size for every parameter."""

import keras
import tensorflow as tf

from mtnet_tf import UpdateRule, experiment


@keras.saving.register_keras_serializable(package="maml_baselines")
class MetaSGDRule(UpdateRule):
    """`weights - rate * gradient`, a rate for each entry (Li et al. 2017, eq. 5).

    A rate may become negative or zero: direction and length of a step are both learned. With
    rates that are all the same and stay so, this is MAML.
    """

    def __init__(self, initial_rate, **kwargs):
        """Creates the rule.

        Args:
          initial_rate: of all entries; unit as of `MetaLearner`'s `step_size`.
          **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.initial_rate = initial_rate

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
        rates = [tf.convert_to_tensor(rate.value) for rate in self.rates]
        moved = zip(weights, rates, gradients, strict=True)
        return [w - rate * g for w, rate, g in moved], None

    def get_config(self):
        """Arguments to create the rule again."""
        return {**super().get_config(), "initial_rate": self.initial_rate}


def build(settings, tasks):
    """The paper's network with a rate per parameter, compiled."""
    return experiment.build_learner(settings, tasks, update_rule=MetaSGDRule(settings["update_lr"]))
