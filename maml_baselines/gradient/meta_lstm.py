"""The meta-learner LSTM (Ravi & Larochelle 2017, section 3): an LSTM computes the inner steps.

`weights = forget * weights - input * gradient`, with gates that an LSTM computes for each entry.

Deviations: the offsets of normalisation are meta-learned and not adapted, and there is no scale.
The gates of the last step are passed on after their sigmoid, as in the paper (the authors' code:
before it). The initial biases are the centres of the ranges in the authors' code. Gradients are
those of the mean loss, as in the paper (the authors' code divides them once more by the number of
images). The paper has no results for Omniglot.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, UpdateRule
from mtnet_tf.experiments import Settings, build_learner, query_loss_unit, support_loss_unit
from mtnet_tf.layers import validate_integer, validate_positive
from mtnet_tf.tasks import TaskDistribution

# At first the gates keep nearly all of a weight and steps are small (section 3.3). The values are
# the centres of the ranges [4, 5] and [-5, -4] in the authors' code.
FORGET_BIAS, INPUT_BIAS = 4.5, -4.5
HIDDEN_UNITS = 20
CLIP_NORM = 0.25  # of the gradient of the mean query loss


def preprocess(x: tf.Tensor, p: float = 10.0) -> tf.Tensor:
    """Maps numbers of any size to two numbers of similar size (section 3.2).

    `(log|x| / p, sign(x))` if `|x| >= exp(-p)`, else `(-1, exp(p) x)` (Andrychowicz et al. 2016,
    appendix A).

    Args:
        x: tensor [...].
        p: numbers below `exp(-p)` are small.

    Returns:
        Tensor [..., 2].
    """
    large = tf.abs(x) >= math.exp(-p)
    logarithm = tf.math.log(tf.where(large, tf.abs(x), tf.ones_like(x))) / p
    first = tf.where(large, logarithm, -tf.ones_like(x))
    return tf.stack([first, tf.where(large, tf.sign(x), math.exp(p) * x)], -1)


@keras.saving.register_keras_serializable(package="maml_baselines")
class LSTMRule(UpdateRule):
    """`weights = forget * weights - input * gradient` (section 3.1).

    An LSTM reads the preprocessed gradient and loss of each weight entry. The inputs of both gates
    are its output h, the entry, and the gate's value at the last step:

        input = sigmoid(W_I . [h, weight, last input] + b_I), and the same for forget

    All entries share these parameters; each has its own states. Gradients and losses are constants
    for the meta-gradient, as in the paper. With h = 0 and fixed gates (1, alpha) this is gradient
    descent.

    Attributes:
        reader: the LSTM.
        forget_kernel, input_kernel: variables [H + 2, 1].
        forget_bias, input_bias: scalar variables.
    """

    forget_kernel: keras.Variable
    forget_bias: keras.Variable
    input_kernel: keras.Variable
    input_bias: keras.Variable

    def __init__(
        self,
        hidden_units: int = HIDDEN_UNITS,
        loss_unit: float = 1.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the rule.

        Args:
            hidden_units: H, of the LSTM.
            loss_unit: ratio of the loss to the mean loss over examples; N for
                `FewShotCrossentropy`. Losses and gradients are divided by it.
            seed: of the initial values.
            **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.hidden_units = hidden_units = validate_integer("hidden_units", hidden_units, 1)
        self.loss_unit = validate_positive("loss_unit", loss_unit)
        self.seed = seed = validate_integer("seed", seed)
        small = [keras.initializers.RandomUniform(-0.01, 0.01, seed=seed + i) for i in range(5)]
        self.reader = keras.layers.LSTMCell(
            hidden_units,
            kernel_initializer=small[0],  # pyright: ignore[reportArgumentType]
            recurrent_initializer=small[1],  # pyright: ignore[reportArgumentType]
            bias_initializer=small[4],  # pyright: ignore[reportArgumentType]
            unit_forget_bias=False,
            seed=seed,  # the cell has no dropout, but it saves the seed as a variable
            dtype=self.dtype_policy,
        )
        self._gate_initializers = small[2:4]

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Creates the parameters; their number does not depend on the task weights."""
        self.reader.build((None, 4))
        gates = zip(("forget", "input"), (FORGET_BIAS, INPUT_BIAS), strict=True)
        for (name, bias), kernel in zip(gates, self._gate_initializers, strict=True):
            shape = (self.hidden_units + 2, 1)
            setattr(self, f"{name}_kernel", self.add_weight(name=name, shape=shape,
                    initializer=kernel))  # fmt: skip
            constant = keras.initializers.Constant(bias)
            setattr(self, f"{name}_bias", self.add_weight(name=f"{name}_bias", shape=(),
                    initializer=constant))  # fmt: skip
        self.built = True

    def update(
        self,
        step: int,
        weights: list[tf.Tensor],
        gradients: list[tf.Tensor],
        losses: tf.Tensor,
        state: Any,
    ) -> tuple[list[tf.Tensor], Any]:
        """One inner step, see `UpdateRule.update`.

        The state is a triple (states of the LSTM, forget gates [B, P], input gates [B, P]), with P
        entries in all weights.
        """
        flat = _join(weights)  # [B, P]
        gradient = tf.stop_gradient(_join(gradients)) / self.loss_unit
        if state is None:
            hidden = tf.zeros([tf.size(flat), self.hidden_units], flat.dtype)
            state = [hidden, hidden], tf.zeros_like(flat), tf.zeros_like(flat)
        states, forget, enter = state
        loss = tf.broadcast_to(tf.stop_gradient(losses)[:, None] / self.loss_unit, tf.shape(flat))
        inputs = tf.concat([preprocess(gradient), preprocess(loss)], -1)  # [B, P, 4]
        hidden, states = self.reader(tf.reshape(inputs, [-1, 4]), states)
        forget = self._gate(self.forget_kernel, self.forget_bias, hidden, flat, forget)
        enter = self._gate(self.input_kernel, self.input_bias, hidden, flat, enter)
        return _split(forget * flat - enter * gradient, weights), (states, forget, enter)

    def _gate(
        self,
        kernel: keras.Variable,
        bias: keras.Variable,
        hidden: tf.Tensor,
        flat: tf.Tensor,
        last: tf.Tensor,
    ) -> tf.Tensor:
        """The values of a gate, [B, P].

        Args:
            kernel: of the gate, [H + 2, 1].
            bias: of the gate, scalar.
            hidden: outputs of the LSTM, [B*P, H].
            flat: weights [B, P].
            last: values of the gate at the last step, [B, P].
        """
        others = tf.stack([tf.reshape(flat, [-1]), tf.reshape(last, [-1])], 1)
        seen = tf.concat([hidden, others], 1) @ tf.convert_to_tensor(kernel.value)  # [B*P, 1]
        return tf.reshape(tf.sigmoid(seen + tf.convert_to_tensor(bias.value)), tf.shape(flat))

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        config = {"hidden_units": self.hidden_units, "loss_unit": self.loss_unit}
        return {**super().get_config(), **config, "seed": self.seed}


def _join(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Concatenates tensors [B, ...] to one tensor [B, P]."""
    return tf.concat([tf.reshape(t, [tf.shape(t)[0], _num_entries(t)]) for t in tensors], 1)


def _num_entries(tensor: tf.Tensor) -> int:
    """The number of entries for each task of a tensor [B, ...]."""
    return math.prod(cast(tuple[int, ...], tensor.shape[1:]))


def _split(flat: tf.Tensor, like: list[tf.Tensor]) -> list[tf.Tensor]:
    """The inverse of `_join`, for tensors of the shapes of `like`."""
    parts = tf.split(flat, [_num_entries(t) for t in like], 1)
    return [tf.reshape(part, tf.shape(t)) for part, t in zip(parts, like, strict=True)]


def build(settings: Settings, tasks: TaskDistribution) -> MetaLearner:
    """Builds the MT-net paper's network with the LSTM rule; first order, Adam, clipped gradients.

    Batch normalisation as in section 3.4: in training, the support set and the query set are each
    normalised with their own statistics; the inductive score of an evaluation normalises the query
    set with the statistics of the support set.
    """
    clip = CLIP_NORM * query_loss_unit(settings, tasks)
    optimizer = keras.optimizers.Adam(
        settings.meta_learning_rate, epsilon=1e-8, global_clipnorm=clip
    )
    rule = LSTMRule(loss_unit=support_loss_unit(settings), seed=settings.seed)
    return build_learner(settings, tasks, optimizer=optimizer, update_rule=rule)
