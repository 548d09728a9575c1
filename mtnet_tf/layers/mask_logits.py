"""The mask-logit layer: zeta, and the masks drawn from it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.integers import validate_positive, validate_sizes
from mtnet_tf.layers.masks import (
    active_probability,
    hard_mask,
    logistic_noise,
    most_probable_mask,
    soft_mask,
)


@keras.saving.register_keras_serializable(package="mtnet_tf")
class MaskLogits(keras.layers.Layer):
    """Logits zeta of a binary gradient mask, and samples of that mask (eq. 9 to 11).

    `layer(noise)` turns noise [B, *shape] into one mask per task; `sample` also draws the noise.

    Example:
    >>> logits = MaskLogits((40,))
    >>> logits.build()
    >>> logits.sample(num_tasks=4, seed=(0, 1)).shape
    TensorShape([4, 40])
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        temperature: float = 1.0,
        hard: bool = True,
        initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        """Creates the layer.

        Args:
            shape: shape of one mask: `(U,)` for unit masks, the weight's shape for weight masks.
            temperature: positive, c in eq. 11.
            hard: True for 0/1 masks with the gradient of the soft sample, as in the authors' code;
                False for the soft samples of eq. 11.
            initializer: initial values of zeta; zeros make every unit active with probability one
                half.
            **kwargs: Keras' `name`, `dtype`, `trainable`.

        Raises:
            ValueError: if `temperature` is not positive and finite, or if `shape` contains values
                that are not integers or are negative.
        """
        # Masks multiply the inner gradient, which has the dtype of the variables in every policy.
        super().__init__(autocast=False, **kwargs)
        self.shape = validate_sizes("shape", shape)
        self.temperature = validate_positive("temperature", temperature)
        self.hard = bool(hard)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: Any = None) -> None:
        """Creates zeta, [*shape]. `input_shape` is not needed."""
        self.logits = self.add_weight(
            name="mask_logits", shape=self.shape, initializer=self.initializer, autocast=False
        )
        self.built = True

    def call(self, noise: tf.Tensor) -> tf.Tensor:
        """The masks for `noise` [..., *shape], a tensor of the same shape."""
        draw = hard_mask if self.hard else soft_mask
        return draw(self._value(), tf.cast(noise, self.variable_dtype), self.temperature)

    def sample(self, num_tasks: int | tf.Tensor, seed: tf.Tensor | Sequence[int]) -> tf.Tensor:
        """Draws one mask per task.

        Args:
            num_tasks: B.
            seed: stateless seed, int32 [2].

        Returns:
            Tensor [B, *shape].
        """
        return self(self.noise(num_tasks, seed))

    def noise(self, num_tasks: int | tf.Tensor, seed: tf.Tensor | Sequence[int]) -> tf.Tensor:
        """Draws the noise of one mask per task, [B, *shape]; see `sample`."""
        seed = tf.convert_to_tensor(seed, tf.int32)
        return logistic_noise([num_tasks, *self.shape], seed, self.variable_dtype)

    def most_probable(self) -> tf.Tensor:
        """The mask without noise, [*shape]: 1 where zeta >= 0. No gradient."""
        return most_probable_mask(self._value())

    def active_probability(self) -> tf.Tensor:
        """P(mask = 1) of each entry, [*shape]."""
        return active_probability(self._value())

    def _value(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.logits.value)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """A mask has the shape of its noise."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        return {
            **super().get_config(),
            "shape": self.shape,
            "temperature": self.temperature,
            "hard": self.hard,
            "initializer": keras.initializers.serialize(self.initializer),
        }
