"""Batch normalisation over the examples of one task."""

import keras
import tensorflow as tf

from mtnet_tf.layers.exact_normalization import ExactNormalization
from mtnet_tf.layers.fast_weights import active
from mtnet_tf.layers.moments import moments, normalize, standardize


@keras.saving.register_keras_serializable(package="mtnet_tf")
class TaskBatchNormalization(ExactNormalization):
    """Normalises each channel by the statistics of the task's own set, plus an offset.

    As in the authors' code: statistics of the current support or query set at training and at
    test time (transductive), biased variance, no scale, no moving averages, one offset beta per
    channel that the inner loop leaves alone. Outside the meta-step the whole batch is one task.
    A scope with `SetStatistics` normalises a query set by its support set instead.

    It can also stand in for a trained `keras.layers.BatchNormalization`: with `frozen=True` it
    normalises by fixed statistics everywhere, as that layer does in inference. With
    `moving_statistics=True` it does so outside the meta-step and of training only: called by
    itself it gives what the stock layer gives, and within a task it uses the task's statistics.
    Fixed statistics are loaded or assigned; nothing here updates them. Masks of time steps are
    passed on, but masked steps count in the statistics of a set.

    Exact to second order, unlike Keras' layer: see `ExactNormalization`.
    """

    def __init__(
        self,
        *,
        axis=-1,
        epsilon=1e-3,
        center=True,
        scale=False,
        frozen=False,
        moving_statistics=False,
        **kwargs,
    ):
        """Creates the layer.

        Args:
          axis: int, the channels.
          epsilon: added to the variance.
          center: adds the offset beta, [C].
          scale: multiplies by the scale gamma, [C].
          frozen: always normalises by `moving_mean` and `moving_variance`, [C] each.
          moving_statistics: normalises by them outside the meta-step and of training.
          **kwargs: `beta_initializer` ("zeros"), `gamma_initializer` ("ones"), regularizers and
            constraints of both, and Keras' `name`, `dtype`, `trainable`.
        """
        super().__init__(epsilon=epsilon, center=center, scale=scale, **kwargs)
        self.axis = int(axis)
        self.frozen = bool(frozen)
        self.moving_statistics = bool(moving_statistics)
        self.moving_mean = self.moving_variance = None

    def build(self, input_shape):
        """Creates gamma, beta and the fixed statistics, [C] each, as far as there are any."""
        shape = (input_shape[self.axis],)
        self._add_scale_and_offset(shape)
        if self.frozen or self.moving_statistics:
            options = {"shape": shape, "trainable": False, "autocast": False}
            self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **options)
            self.moving_variance = self.add_weight(
                name="moving_variance", initializer="ones", **options
            )
        self.built = True

    def call(self, inputs, training=None, mask=None):
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` per task and channel."""
        del mask  # accepted because graphs that hold the stock layer pass one
        inputs = tf.convert_to_tensor(inputs)
        rank = inputs.shape.rank
        if self.axis in (-1, rank - 1):
            return self._normalize(inputs, training)
        axis = self.axis % rank
        last = [*range(axis), *range(axis + 1, rank), axis]
        outputs = self._normalize(tf.transpose(inputs, last), training)
        return tf.transpose(outputs, [last.index(i) for i in range(rank)])

    def _normalize(self, inputs, training):
        """The formula, channels last."""
        scope = active()
        if self.frozen or (self.moving_statistics and scope is None and not training):
            return self._by_fixed_statistics(inputs)
        num_tasks = 1 if scope is None else scope.num_tasks
        x = tf.reshape(inputs, [num_tasks, -1, inputs.shape[-1]])  # [B, n*H*W, C]
        statistics = moments(x, axis=1)  # [B, 1, C] each
        if scope is not None and scope.statistics is not None:
            statistics = scope.statistics.choose(statistics, self)
        x = standardize(x, *statistics, self.epsilon)
        gamma, beta = self._scale_and_offset(x.dtype, [-1])
        x = x if gamma is None else x * gamma
        x = tf.reshape(x, tf.shape(inputs))
        return x if beta is None else x + beta

    def _by_fixed_statistics(self, inputs):
        dtype = tf.float32 if inputs.dtype.size < 4 else inputs.dtype
        fixed = [tf.cast(v.value, dtype) for v in (self.moving_mean, self.moving_variance)]
        return normalize(inputs, *fixed, self.epsilon, *self._scale_and_offset(dtype, [-1]))

    def get_config(self):
        """Arguments to create the layer again."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "frozen": self.frozen,
            "moving_statistics": self.moving_statistics,
        }
