"""Batch normalisation over the examples of one task."""

from typing import Any

import keras
import tensorflow as tf

from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.fast_weights import active
from mtnet_tf.layers.integers import validate_integer
from mtnet_tf.layers.moments import (
    add_offset,
    moments,
    normalize,
    standardize,
    standardize_by_own,
)
from mtnet_tf.layers.tw_layer import Shape, Spec


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TaskBatchNormalization(ExactNormalization):
    """Normalises each channel by the statistics of the task's own set, and adds an offset.

    As in the authors' code: statistics of the current support or query set in training and at test
    time (transductive), biased variance, no scale, no moving averages, and one offset beta per
    channel that the inner loop does not adapt. Outside of a meta-step the whole batch is one task.
    A scope with `SetStatistics` normalises a query set by its support set instead.

    The layer can also replace a trained `keras.layers.BatchNormalization`. With `frozen=True` it
    always normalises by fixed statistics, as that layer does in inference. With
    `moving_statistics=True` it does so only outside of meta-steps and of training: called on its
    own it gives the outputs of the stock layer, and within a task it uses the statistics of the
    task. Fixed statistics are loaded or assigned; this layer does not update them. Steps that a
    Keras time-step mask excludes do not count in the statistics, as in Keras' layer.

    Its second derivatives are exact, unlike those of Keras' layer: see `ExactNormalization`.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = False,
        beta_initializer: Spec = "zeros",
        gamma_initializer: Spec = "ones",
        moving_mean_initializer: Spec = "zeros",
        moving_variance_initializer: Spec = "ones",
        beta_regularizer: Spec = None,
        gamma_regularizer: Spec = None,
        beta_constraint: Spec = None,
        gamma_constraint: Spec = None,
        synchronized: bool = False,
        *,
        frozen: bool = False,
        moving_statistics: bool = False,
        **kwargs: Any,
    ) -> None:
        """Creates the layer.

        The first arguments are those of `keras.layers.BatchNormalization`, without batch
        renormalisation. `scale` is False by default, as in the authors' code.

        Args:
            axis: axis of the channels.
            momentum: 0.99, Keras' default. Moving averages are not updated, so that another value
                would have no effect.
            epsilon: added to the variance.
            center: adds the offset beta, [C].
            scale: multiplies by the scale gamma, [C].
            beta_initializer: initial values of beta.
            gamma_initializer: initial values of gamma.
            moving_mean_initializer: initial values of `moving_mean`.
            moving_variance_initializer: initial values of `moving_variance`.
            beta_regularizer: regularizer of beta.
            gamma_regularizer: regularizer of gamma.
            beta_constraint: constraint on beta after each optimizer step.
            gamma_constraint: constraint on gamma after each optimizer step.
            synchronized: False; statistics are those of one task, never of several devices.
            frozen: always normalises by `moving_mean` and `moving_variance`, [C] each.
            moving_statistics: normalises by them outside of meta-steps and of training.
            **kwargs: Keras' `name`, `dtype`, `trainable`.

        Raises:
            ValueError: if `axis` is not an integer, or for another `momentum` or `synchronized`.
        """
        if momentum != 0.99:
            raise ValueError(
                "`momentum` must be 0.99, the default, because moving averages are not updated. "
                f"Received: momentum={momentum}. Omit it."
            )
        if synchronized:
            raise ValueError(
                "`synchronized` must be False, because each task is normalised by its own "
                f"statistics. Received: synchronized={synchronized}."
            )
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
        self.axis = validate_integer("axis", axis)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = keras.initializers.get(moving_variance_initializer)
        self.frozen = bool(frozen)
        self.moving_statistics = bool(moving_statistics)
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: Shape) -> None:
        """Creates gamma, beta and the fixed statistics, [C] each, if they are used."""
        shape = (input_shape[self.axis],)
        self._add_scale_and_offset(shape)
        if self.frozen or self.moving_statistics:
            options = {"shape": shape, "trainable": False, "autocast": False}
            self.moving_mean = self.add_weight(
                name="moving_mean", initializer=self.moving_mean_initializer, **options
            )
            self.moving_variance = self.add_weight(
                name="moving_variance", initializer=self.moving_variance_initializer, **options
            )
        self.built = True

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` per task and channel.

        Args:
            inputs: [n, ..., C] if `axis` is the last.
            training: whether `moving_statistics` are not used.
            mask: Keras time-step mask, bools of the shape of `inputs` without its last axis; False
                for the steps that do not count in the statistics.

        Raises:
            ValueError: if the mask has another rank.
        """
        x = self._floats(inputs)
        rank = x.shape.rank
        counted = None if mask is None else _counted(mask, x)
        axis = self.axis % rank
        if axis == rank - 1:
            return tf.cast(self._normalize(x, training, counted), self.compute_dtype)
        last = [*range(axis), *range(axis + 1, rank), axis]
        counted = None if counted is None else tf.transpose(counted, last)
        outputs = self._normalize(tf.transpose(x, last), training, counted)
        outputs = tf.transpose(outputs, [last.index(i) for i in range(rank)])
        return tf.cast(outputs, self.compute_dtype)

    def _normalize(
        self, inputs: tf.Tensor, training: bool | None, counted: tf.Tensor | None
    ) -> tf.Tensor:
        """The formula, channels last; `counted` has the shape of the inputs."""
        scope = active()
        if self.frozen or (self.moving_statistics and scope is None and not training):
            return self._by_fixed_statistics(inputs)
        num_tasks = 1 if scope is None else scope.num_tasks
        x = tf.reshape(inputs, [num_tasks, -1, inputs.shape[-1]])  # [B, n*H*W, C]
        counted = None if counted is None else tf.reshape(counted, tf.shape(x))
        if counted is None and (scope is None or scope.statistics is None):
            x = standardize_by_own(x, 1, self.epsilon)
        else:
            statistics = moments(x, 1, counted)  # [B, 1, C] each
            if scope is not None and scope.statistics is not None:
                statistics = scope.statistics.choose(statistics, self)
            x = standardize(x, *statistics, self.epsilon)
        gamma, beta = self._scale_and_offset(x.dtype, [-1])
        x = x if gamma is None else x * gamma
        x = tf.reshape(x, tf.shape(inputs))
        return x if beta is None else add_offset(x, beta)

    def _by_fixed_statistics(self, inputs: tf.Tensor) -> tf.Tensor:
        dtype = tf.float32 if inputs.dtype.size < 4 else inputs.dtype
        mean = tf.cast(self.moving_mean.value, dtype)
        variance = tf.cast(self.moving_variance.value, dtype)
        gamma, beta = self._scale_and_offset(dtype, [-1])
        return normalize(inputs, mean, variance, self.epsilon, gamma, beta)

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the layer again."""
        initializers = {
            "moving_mean_initializer": self.moving_mean_initializer,
            "moving_variance_initializer": self.moving_variance_initializer,
        }
        return {
            **super().get_config(),
            **{name: keras.initializers.serialize(value) for name, value in initializers.items()},
            "axis": self.axis,
            "frozen": self.frozen,
            "moving_statistics": self.moving_statistics,
        }


def _counted(mask: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """A time-step mask [n, ...] as bools of the shape of `x`, [n, ..., C]."""
    mask = tf.convert_to_tensor(mask)
    if mask.shape.rank != x.shape.rank - 1:
        raise ValueError(
            "`mask` must have one axis fewer than `inputs`. "
            f"Received: mask of shape {mask.shape}, inputs of shape {x.shape}."
        )
    return tf.broadcast_to(tf.expand_dims(tf.cast(mask, tf.bool), -1), tf.shape(x))
