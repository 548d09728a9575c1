"""One inner step on one episode, whose meta-gradient `audit` checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf._keras import flatten_layers
from mtnet_tf.diagnostics.function_derivatives import Outputs
from mtnet_tf.diagnostics.numerical_derivatives import Precision, gradient_error, restored
from mtnet_tf.layers import TaskWeight, TWLayer, find_task_weights
from mtnet_tf.meta import (
    MetaLoss,
    TaskLoss,
    meta_gradients,
    meta_loss,
    single_output,
    task_losses,
)
from mtnet_tf.tasks import Episode


@dataclass(frozen=True)
class InnerStep:
    """One inner step without masks, and the meta-loss after it.

    Attributes:
        model: Keras model in float64.
        loss: see `mtnet_tf.meta.task_losses`.
        episode: `Episode` of one task.
        step_size: step size of gradient descent.
    """

    model: keras.Model
    loss: TaskLoss
    episode: Episode
    step_size: float

    @property
    def task_weights(self) -> list[TaskWeight]:
        """The weights of the TW layers, or all trainable weights if there are no TW layers."""
        if any(isinstance(x, TWLayer) and x.trainable for x in flatten_layers(self.model)):
            return find_task_weights(self.model)
        return [TaskWeight(v, None, flattened=False) for v in self.model.trainable_variables]

    @property
    def _options(self) -> dict[str, Any]:
        return {"num_inner_steps": 1, "step_size": self.step_size, "masks": None}

    def meta_loss(self) -> MetaLoss:
        """The query loss after the step."""
        with restored(self.model.non_trainable_variables):
            return meta_loss(
                self.model, self.task_weights, self.loss, self.episode, **self._options
            )

    def meta_gradients(self) -> list[np.ndarray]:
        """The gradient of the meta-loss, one array per trainable variable.

        Raises:
            LookupError: if an operation has no second derivative.
        """
        parameters = self.model.trainable_variables
        with restored(self.model.non_trainable_variables):
            found = meta_gradients(
                self.model, self.task_weights, parameters, self.loss, self.episode, **self._options
            )[1]
        return [tf.convert_to_tensor(g).numpy() for g in found]

    def error(
        self, gradients: list[np.ndarray], random: np.random.Generator, precision: Precision
    ) -> float:
        """Relative error of the meta-gradient, see `gradient_error`."""

        def value() -> float:
            return float(tf.add_n([self.meta_loss().value, *self.model.losses]))

        return gradient_error(gradients, value, self.model.trainable_variables, random, precision)

    def take(self) -> None:
        """Adapts the weights of the model itself."""
        adapted = self.meta_loss().trajectory.fast_weights
        for weight, value in zip(self.task_weights, adapted, strict=True):
            weight.variable.assign(value[0])

    @property
    def loss_name(self) -> str:
        """The class or function of the loss."""
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    def model_function(self) -> tuple[Outputs, list[tf.Tensor]]:
        """The predictions for the queries as a function of the weights, and the weights."""
        x = tf.nest.map_structure(lambda t: t[0], self.episode.query_x)
        variables = self.model.trainable_variables

        def outputs(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
            with keras.StatelessScope(list(zip(variables, values, strict=True))):
                return [single_output(self.model(x, training=True))]

        return outputs, [v.value for v in variables]

    def loss_function(self) -> tuple[Outputs, list[tf.Tensor]]:
        """The losses of the queries as a function of the predictions, and the predictions."""
        x, y = (tf.nest.map_structure(lambda t: t[0], part) for part in self.episode.query)
        predictions = single_output(self.model(x, training=True))
        return lambda values: [task_losses(self.loss, y, values[0], len(y))], [predictions]
