"""Layer normalisation: each example by its own statistics."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.integers import validate_integer
from mtnet_tf.layers.moments import moments, normalize
from mtnet_tf.layers.tw_layer import Shape, Spec


@keras.saving.register_keras_serializable(package="mtnet_tf")
class ExactLayerNormalization(ExactNormalization):
    """Normalises each example by its own statistics, then scales and shifts.

    By default over height, width and channels together, with scale and offset per channel, as in
    the authors' code. With `axis` given, over those axes with scale and offset of their shape, as
    in `keras.layers.LayerNormalization`.

    Its second derivatives are exact, unlike those of Keras' layer: see `ExactNormalization`.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = None,
        epsilon: float = 1e-12,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Spec = "zeros",
        gamma_initializer: Spec = "ones",
        beta_regularizer: Spec = None,
        gamma_regularizer: Spec = None,
        beta_constraint: Spec = None,
        gamma_constraint: Spec = None,
        *,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        """Creates the layer. The first arguments are those of `keras.layers.LayerNormalization`.

        The defaults of `axis` and `epsilon` are those of the authors' code.

        Args:
            axis: axis or axes of the statistics and of scale and offset; None for statistics over
                all axes but the first, and scale and offset along the last one.
            epsilon: added to the variance.
            center: adds the offset beta.
            scale: multiplies by the scale gamma.
            beta_initializer: initial values of beta.
            gamma_initializer: initial values of gamma.
            beta_regularizer: regularizer of beta.
            gamma_regularizer: regularizer of gamma.
            beta_constraint: constraint on beta after each optimizer step.
            gamma_constraint: constraint on gamma after each optimizer step.
            rms_scaling: Keras' option of this name: the mean is not subtracted and there is no
                offset.
            **kwargs: Keras' `name`, `dtype`, `trainable`.

        Raises:
            ValueError: if `axis` is not an integer, a sequence of integers, or None.
        """
        super().__init__(
            epsilon=epsilon,
            center=center and not rms_scaling,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **kwargs,
        )
        if axis is None:
            self.axis = None
        elif isinstance(axis, Sequence):
            self.axis = sorted(validate_integer("axis", one) for one in axis)
        else:
            self.axis = validate_integer("axis", axis)
        self.rms_scaling = bool(rms_scaling)

    def build(self, input_shape: Shape) -> None:
        """Creates scale and offset, of the shape of the normalised axes or [C]."""
        axes = [-1] if self.axis is None else self._axes()
        self._add_scale_and_offset(tuple(input_shape[i] for i in axes))
        self.built = True

    def _axes(self) -> list[int]:
        return [self.axis] if isinstance(self.axis, int) else self.axis or []

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` per example."""
        x = self._floats(inputs)
        rank = x.shape.rank
        axes = list(range(1, rank)) if self.axis is None else [i % rank for i in self._axes()]
        mean, variance = moments(x, axes)  # [n, 1, ...] each
        if self.rms_scaling:
            mean = tf.zeros_like(mean)
        shared = [rank - 1] if self.axis is None else axes
        sizes: Any = x.shape
        shape = [sizes[i] if i in shared else 1 for i in range(rank)]
        parameters = self._scale_and_offset(mean.dtype, shape)
        outputs = normalize(x, mean, variance, self.epsilon, *parameters)
        return tf.cast(outputs, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        return {**super().get_config(), "axis": self.axis, "rms_scaling": self.rms_scaling}
