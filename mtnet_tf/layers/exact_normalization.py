"""What the exact normalisation layers share: scale and offset."""

import abc
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.integers import cast_integers, validate_positive
from mtnet_tf.layers.tw_layer import Shape, Spec


class ExactNormalization(keras.layers.Layer, abc.ABC):
    """Abstract normalisation with scale gamma and offset beta, which are only meta-learned.

    Its derivatives of every order are exact. Those of `tf.nn.moments`, which Keras' layers use, are
    not: it stops the gradient of the mean inside the variance, which makes meta-gradients wrong.
    """

    def __init__(
        self,
        *,
        epsilon: float,
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
        """Stores the arguments; see the subclasses."""
        super().__init__(**kwargs)
        self.epsilon = validate_positive("epsilon", epsilon, zero=True)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self.gamma = self.beta = None
        self.supports_masking = True

    def _add_scale_and_offset(self, shape: Shape) -> None:
        if self.scale:
            self.gamma = self._add("gamma", shape)
        if self.center:
            self.beta = self._add("beta", shape)

    def _add(self, name: str, shape: Shape) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
        )

    def _floats(self, inputs: tf.Tensor) -> tf.Tensor:
        """The inputs as floats.

        Half precision represents integers only up to 2048 (float16) or 256 (bfloat16), so integers
        become float32. (Keras' layer and group normalisation round the outputs for integers.)
        """
        return cast_integers(inputs, "float64" if self.compute_dtype == "float64" else "float32")

    def _scale_and_offset(self, dtype: tf.DType, shape: list[int]) -> list[tf.Tensor | None]:
        """Gamma and beta, or None, as tensors of `dtype` and `shape`."""
        return [
            None if v is None else tf.reshape(tf.cast(v.value, dtype), shape)
            for v in (self.gamma, self.beta)
        ]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        config = super().get_config()
        for name in ("beta", "gamma"):
            initializer = getattr(self, f"{name}_initializer")
            regularizer = getattr(self, f"{name}_regularizer")
            constraint = getattr(self, f"{name}_constraint")
            config[f"{name}_initializer"] = keras.initializers.serialize(initializer)
            config[f"{name}_regularizer"] = keras.regularizers.serialize(regularizer)
            config[f"{name}_constraint"] = keras.constraints.serialize(constraint)
        return {**config, "epsilon": self.epsilon, "center": self.center, "scale": self.scale}
