"""The meta-learner LSTM (Ravi & Larochelle 2017): an LSTM cell as the rule of the inner loop."""

import math

import keras
import tensorflow as tf

from mtnet_tf import UpdateRule
from mtnet_tf.experiments import build_learner, query_loss_unit, support_loss_unit

# Initial gates: forget next to nothing and step little, as section 3.3 asks; the middles of the
# ranges [4, 5] and [-5, -4] of the authors' code.
FORGET_BIAS, INPUT_BIAS = 4.5, -4.5
HIDDEN_UNITS = 20
CLIP_NORM = 0.25  # of the gradient of the mean query loss


def preprocess(x, p=10.0):
    """Two numbers of similar size for one of any size (Andrychowicz et al. 2016, appendix A).

    `(log|x| / p, sign(x))` where |x| >= e^-p, else `(-1, e^p x)`.

    Args:
      x: tensor [...].
      p: what counts as small.

    Returns:
      Tensor [..., 2].
    """
    large = tf.abs(x) >= math.exp(-p)
    logarithm = tf.math.log(tf.where(large, tf.abs(x), tf.ones_like(x))) / p
    first = tf.where(large, logarithm, -tf.ones_like(x))
    return tf.stack([first, tf.where(large, tf.sign(x), math.exp(p) * x)], -1)


@keras.saving.register_keras_serializable(package="maml_baselines")
class LSTMRule(UpdateRule):
    """`weights = forget * weights - input * gradient` (Ravi & Larochelle 2017, section 3.1).

    A plain LSTM reads each coordinate's preprocessed gradient and loss; both gates see its
    output, the weight, and their own last value:

        input = sigmoid(W_I . [h, weight, last input] + b_I), forget likewise

    All coordinates share these parameters, and each has states of its own. As published, gradients
    and losses are constants for the meta-gradient. With closed LSTM and fixed gates (1, alpha)
    this is gradient descent. (The authors' code hands on gates before their sigmoid; this follows
    the paper.)
    """

    def __init__(self, hidden_units=HIDDEN_UNITS, loss_unit=1.0, seed=0, **kwargs):
        """Creates the rule.

        Args:
          hidden_units: of the LSTM that reads gradients, H.
          loss_unit: what losses and gradients are divided by, to be those of the mean over
            examples as in the paper: N with `FewShotCrossentropy`.
          seed: of the initial values.
          **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.loss_unit = loss_unit
        self.seed = seed
        small = [keras.initializers.RandomUniform(-0.01, 0.01, seed=seed + i) for i in range(5)]
        self.reader = keras.layers.LSTMCell(
            hidden_units,
            kernel_initializer=small[0],
            recurrent_initializer=small[1],
            bias_initializer=small[4],
            unit_forget_bias=False,
            seed=seed,  # of no dropout; but it is a variable of the cell
            dtype=self.dtype_policy,
        )
        self._gate_initializers = small[2:4]

    def build(self, input_shape):
        """Creates the parameters, the same number whatever the task weights are."""
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

    def update(self, step, weights, gradients, losses, state):
        """See `UpdateRule`."""
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

    def _gate(self, kernel, bias, hidden, flat, last):
        others = tf.stack([tf.reshape(flat, [-1]), tf.reshape(last, [-1])], 1)
        seen = tf.concat([hidden, others], 1) @ tf.convert_to_tensor(kernel.value)  # [B*P, 1]
        return tf.reshape(tf.sigmoid(seen + tf.convert_to_tensor(bias.value)), tf.shape(flat))

    def get_config(self):
        """Arguments to create the rule again."""
        config = {"hidden_units": self.hidden_units, "loss_unit": self.loss_unit}
        return {**super().get_config(), **config, "seed": self.seed}


def _join(tensors):
    """Tensors [B, ...] as one [B, P]."""
    return tf.concat([tf.reshape(t, [tf.shape(t)[0], math.prod(t.shape[1:])]) for t in tensors], 1)


def _split(flat, like):
    parts = tf.split(flat, [math.prod(t.shape[1:]) for t in like], 1)
    return [tf.reshape(part, tf.shape(t)) for part, t in zip(parts, like, strict=True)]


def build(settings, tasks):
    """The paper's network under an LSTM rule; Adam with clipped gradients, first order.

    Batch normalisation, section 3.4: in training support and query set each by their own
    statistics; in evaluation the query by the support set's, the "inductive" score. Offsets of
    normalisation, which has no scale here, are meta-learned; the authors' LSTM adapts both.
    """
    clip = CLIP_NORM * query_loss_unit(settings, tasks)
    optimizer = keras.optimizers.Adam(
        settings.meta_learning_rate, epsilon=1e-8, global_clipnorm=clip
    )
    rule = LSTMRule(loss_unit=support_loss_unit(settings), seed=settings.seed)
    return build_learner(settings, tasks, optimizer=optimizer, update_rule=rule)
