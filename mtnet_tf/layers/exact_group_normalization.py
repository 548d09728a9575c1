"""Group normalisation: each group of channels of each example by its own statistics."""

import operator
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.integers import is_integer, validate_integer
from mtnet_tf.layers.moments import moments, normalize
from mtnet_tf.layers.tw_layer import Shape, Spec


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExactGroupNormalization(ExactNormalization):
    """`keras.layers.GroupNormalization` (Wu & He, 2018) with exact second derivatives.

    Statistics over the pixels and the channels of a group, per example; scale and offset per
    channel. `ExactNormalization` explains what is wrong with Keras' layer.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Spec = "zeros",
        gamma_initializer: Spec = "ones",
        beta_regularizer: Spec = None,
        gamma_regularizer: Spec = None,
        beta_constraint: Spec = None,
        gamma_constraint: Spec = None,
        **kwargs: Any,
    ) -> None:
        """Creates the layer. The arguments are those of `keras.layers.GroupNormalization`.

        Args:
            groups: positive int that divides the number of channels; -1 for one group per channel
                (instance normalisation).
            axis: axis of the channels.
            epsilon: added to the variance.
            center: adds the offset beta, [C].
            scale: multiplies by the scale gamma, [C].
            beta_initializer: initial values of beta.
            gamma_initializer: initial values of gamma.
            beta_regularizer: regularizer of beta.
            gamma_regularizer: regularizer of gamma.
            beta_constraint: constraint on beta after each optimizer step.
            gamma_constraint: constraint on gamma after each optimizer step.
            **kwargs: Keras' `name`, `dtype`, `trainable`.

        Raises:
            ValueError: if `groups` is neither a positive integer nor -1, or `axis` is not an
                integer.
        """
        super().__init__(
            epsilon=epsilon,
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **kwargs,
        )
        if not is_integer(groups) or (groups != -1 and groups <= 0):
            raise ValueError(
                f"`groups` must be a positive integer, or -1. Received: groups={groups!r}."
            )
        self.groups = operator.index(groups)
        self.axis = validate_integer("axis", axis)

    def build(self, input_shape: Shape) -> None:
        """Creates scale and offset, [C].

        Raises:
            ValueError: if the number of channels is unknown, or not a multiple of `groups`.
        """
        channels = input_shape[self.axis]
        if channels is None or (self.groups > 0 and channels % self.groups):
            raise ValueError(
                "The number of channels must be a multiple of `groups`. "
                f"Received: input_shape={tuple(input_shape)}, groups={self.groups}."
            )
        self._add_scale_and_offset((channels,))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` per example and group."""
        inputs = self._floats(inputs)
        rank = inputs.shape.rank
        axis = self.axis % rank
        channels = inputs.shape[axis]
        split = [channels if self.groups == -1 else self.groups, -1]
        sizes = tf.shape(inputs)
        x = tf.reshape(inputs, tf.concat([sizes[:axis], split, sizes[axis + 1 :]], 0))
        # [n, ..., groups, C // groups, ...]
        mean, variance = moments(x, [i for i in range(1, rank + 1) if i != axis])
        ones = [1] * rank
        parameters = self._scale_and_offset(mean.dtype, [*ones[:axis], *split, *ones[axis + 1 :]])
        outputs = normalize(x, mean, variance, self.epsilon, *parameters)
        return tf.reshape(tf.cast(outputs, self.compute_dtype), sizes)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}
