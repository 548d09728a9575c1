"""What an inner step does with the gradients: `UpdateRule` and gradient descent."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf.layers import as_float

Schedule = keras.optimizers.schedules.LearningRateSchedule
# A step size for all weights: a number, a variable or tensor, or a schedule over the inner steps.
StepSize = float | np.number | tf.Variable | tf.Tensor | keras.Variable | Schedule


class UpdateRule(keras.layers.Layer, abc.ABC):
    """Abstract rule of the inner loop. Its variables are meta-parameters.

    `MetaLearner(model, update_rule=rule)` builds the rule with the shapes of the task weights, and
    `adapt` calls `update` at each inner step.
    """

    @property
    def borrowed_variables(self) -> list[tf.Variable]:
        """Variables that the rule reads and Keras does not track. An export contains them, too."""
        return []

    @abc.abstractmethod
    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Creates the rule's variables.

        Args:
            input_shape: shapes of the task weights.
        """

    @abc.abstractmethod
    def update(
        self,
        step: int,
        weights: list[tf.Tensor],
        gradients: list[tf.Tensor],
        losses: tf.Tensor,
        state: Any,
    ) -> tuple[list[tf.Tensor], Any]:
        """One inner step.

        Args:
            step: number of the step, from 0.
            weights: fast weights, each [B, *variable.shape].
            gradients: masked gradients of the support losses, of the same shapes.
            losses: [B], the support losses.
            state: what the previous step returned; None at the first step.

        Returns:
            Pair (weights, state).
        """


@dataclasses.dataclass(frozen=True)
class _StepSizes:
    """Step sizes in an object that Keras does not search for variables to train.

    Attributes:
        values: one for all task weights, or one for each.
        is_shared: whether it is one for all.
    """

    values: tuple[StepSize, ...]
    is_shared: bool


@keras.saving.register_keras_serializable(package="mtnet_tf")
class GradientDescent(UpdateRule):
    """`weights - step_size * gradient` (eq. 4 and 8), with a step size that is not learned.

    Example:
    >>> import tensorflow as tf
    >>> rule = GradientDescent(0.5)
    >>> weights, _ = rule.update(0, [tf.constant([3.0])], [tf.constant([2.0])], None, None)
    >>> weights[0].numpy().tolist()
    [2.0]
    """

    def __init__(self, step_size: StepSize | Sequence[StepSize], **kwargs: Any) -> None:
        """Creates the rule.

        Args:
            step_size: alpha, in units of weight^2 per unit of the support loss: a positive, finite
                number, which is a constant of compiled programs; a `tf.Variable` or Keras variable,
                read at each step; a Keras learning rate schedule, called with the number of the
                inner step; or a list of these, one for each task weight. The values of variables
                and schedules are not checked. A dict with one for each layer is an argument of
                `MetaLearner`, which knows the layers.
            **kwargs: Keras' `name`, `dtype`.

        Raises:
            ValueError: if a step size is none of these, or a number that is not positive and
                finite.
        """
        super().__init__(**kwargs)
        self.step_size = step_size
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute. A variable used as step size is read, and Keras does not track it."""
        if name == "step_size":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def step_size(self) -> StepSize | list[StepSize]:
        """Alpha, as given. To change it in a learner, set the learner's `step_size`."""
        return self._sizes.values[0] if self._sizes.is_shared else list(self._sizes.values)

    @step_size.setter
    def step_size(self, step_size: StepSize | Sequence[StepSize]) -> None:
        if isinstance(step_size, Mapping):
            raise ValueError(
                "`step_size` must not be a dict here, because a rule does not know the layers. "
                f"Received: step_size={dict(step_size)}. Give the dict to "
                "`MetaLearner(model, step_size=...)`."
            )
        is_shared = not isinstance(step_size, list | tuple)
        given = [step_size] if is_shared else step_size
        self._sizes = _StepSizes(tuple(_checked(size) for size in given), is_shared)

    @property
    def borrowed_variables(self) -> list[tf.Variable]:
        """The variables among the step sizes."""
        values = [s.value if isinstance(s, keras.Variable) else s for s in self._sizes.values]
        return [value for value in values if isinstance(value, tf.Variable)]

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Checks that there is one step size, or one for each task weight.

        Args:
            input_shape: shapes of the task weights.

        Raises:
            ValueError: if a list of step sizes has another length.
        """
        given = len(self._sizes.values)
        if not self._sizes.is_shared and given != len(input_shape):
            raise ValueError(
                f"`step_size` must be one value, or one for each of the {len(input_shape)} task "
                f"weights. Received: {given} values."
            )

    def update(
        self,
        step: int,
        weights: list[tf.Tensor],
        gradients: list[tf.Tensor],
        losses: tf.Tensor,
        state: Any,
    ) -> tuple[list[tf.Tensor], Any]:
        """`weights - step_size * gradients`; see `UpdateRule.update`."""
        sizes = self._sizes.values * (len(weights) if self._sizes.is_shared else 1)
        pairs = zip(weights, sizes, gradients, strict=True)
        return [w - _value(size, step, w.dtype) * g for w, size, g in pairs], state

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the rule again; a variable is stored as its present value."""
        sizes = [_serialized(size) for size in self._sizes.values]
        return {**super().get_config(), "step_size": sizes[0] if self._sizes.is_shared else sizes}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GradientDescent":
        """Creates the rule from `get_config`."""
        size = config["step_size"]
        if isinstance(size, list | tuple):
            size = [_deserialized(one) for one in size]
        else:
            size = _deserialized(size)
        return cls(**{**config, "step_size": size})


def _is_variable(size: Any) -> bool:
    """Whether it is a variable or a tensor."""
    return isinstance(size, tf.Variable | keras.Variable) or tf.is_tensor(size)


def _checked(size: Any) -> StepSize:
    """A step size as it is used: numbers become Python floats."""
    if isinstance(size, Schedule):
        return size
    if _is_variable(size):
        if tf.TensorShape(size.shape).num_elements() not in (1, None):
            raise ValueError(
                "A variable `step_size` must contain one number. Received: a variable of shape "
                f"{tuple(size.shape)}. Give a list with a step size for each task weight."
            )
        return size
    number = as_float(size)
    if number is None or not 0 < number < np.inf:
        raise ValueError(
            "`step_size` must be a positive and finite number, a variable or a Keras schedule. "
            f"Received: step_size={size!r}."
        )
    return number


def _value(size: Any, step: int, dtype: tf.DType) -> Any:
    """The step size at one inner step: a float, or a scalar tensor of `dtype`."""
    if isinstance(size, float):
        return size
    if isinstance(size, Schedule):
        return tf.cast(size(step), dtype)
    return tf.cast(tf.convert_to_tensor(size), dtype)


def _serialized(size: Any) -> Any:
    """A step size for JSON: a number, or the configuration of a schedule."""
    if isinstance(size, Schedule):
        return keras.saving.serialize_keras_object(size)
    return float(size.numpy()) if _is_variable(size) else size


def _deserialized(size: Any) -> Any:
    """A step size from `_serialized`."""
    return keras.saving.deserialize_keras_object(size) if isinstance(size, Mapping) else size
