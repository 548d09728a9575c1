"""Meta-SGD (Li et al. 2017, section 3.1, eq. 5): a meta-learned step size for every parameter.

`weights - rate * gradient`, entry by entry, with a meta-learned `rate`.

Deviations: one query image per class on Omniglot (the paper: 15). The paper does not give the unit
of its step sizes; here it is that of the mean loss.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, UpdateRule
from mtnet_tf.experiments import Settings, build_learner, support_loss_unit
from mtnet_tf.layers import validate_positive
from mtnet_tf.tasks import TaskDistribution


@keras.saving.register_keras_serializable(package="maml_baselines")
class MetaSGDRule(UpdateRule):
    """`weights - rate * gradient` with a meta-learned rate for each entry (eq. 5).

    Both the direction and the length of a step are learned, since a rate may become zero or
    negative. With equal and constant rates this is MAML.

    Attributes:
        rates: list with a variable for each task weight, in the shape of the weight.
    """

    rates: list[keras.Variable]

    def __init__(self, initial_rate: float, loss_unit: float = 1.0, **kwargs: Any) -> None:
        """Creates the rule.

        Args:
            initial_rate: initial step size of all entries, per mean loss.
            loss_unit: ratio of the loss to the mean loss. One step of Adam changes a rate by about
                the meta learning rate, so the unit of the rates decides how fast they are learned.
            **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.initial_rate = validate_positive("initial_rate", initial_rate)
        self.loss_unit = validate_positive("loss_unit", loss_unit)

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Creates a rate for each entry of each task weight."""
        constant = keras.initializers.Constant(self.initial_rate)
        self.rates = [
            self.add_weight(name=f"rate_{i}", shape=shape, initializer=constant)
            for i, shape in enumerate(input_shape)
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
        rates = [tf.convert_to_tensor(rate.value) / self.loss_unit for rate in self.rates]
        moved = zip(weights, rates, gradients, strict=True)
        return [w - rate * g for w, rate, g in moved], None

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        config = {"initial_rate": self.initial_rate, "loss_unit": self.loss_unit}
        return {**super().get_config(), **config}


def build(settings: Settings, tasks: TaskDistribution) -> MetaLearner:
    """Builds the MT-net paper's network with Meta-SGD."""
    unit = support_loss_unit(settings)
    rule = MetaSGDRule(settings.step_size * unit, unit)
    return build_learner(settings, tasks, update_rule=rule)
