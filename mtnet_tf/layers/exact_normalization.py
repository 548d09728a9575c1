"""What the exact normalisation layers share: scale and offset, and how they are kept."""

import abc

import keras
import tensorflow as tf


class ExactNormalization(keras.layers.Layer, abc.ABC):
    """Abstract normalisation with scale gamma and offset beta, both meta-learned only.

    Exact to second order, which `tf.nn.moments` (and so Keras' own normalisation) is not: it
    stops the gradient of the mean inside the variance, which spoils every meta-gradient.
    """

    def __init__(
        self,
        *,
        epsilon,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        """Stores the arguments; see the subclasses."""
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self.gamma = self.beta = None
        self.supports_masking = True

    def _add_scale_and_offset(self, shape):
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def _scale_and_offset(self, dtype, shape):
        """Gamma and beta, or None, as tensors of `dtype` and `shape`."""
        return [
            None if v is None else tf.reshape(tf.cast(v.value, dtype), shape)
            for v in (self.gamma, self.beta)
        ]

    @abc.abstractmethod
    def call(self, inputs):
        """The normalised inputs."""

    def compute_output_shape(self, input_shape):
        """The shape of the inputs."""
        return tuple(input_shape)

    def get_config(self):
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
