"""Matching Networks (Vinyals et al. 2016, section 2.1), with and without full context embeddings.

`p(y | x) = sum_i a(x, x_i) y_i` with `a(x, x_i) = softmax over i of cosine(f(x), g(x_i))`.

Deviations: the MiniImagenet recipe is that of Ravi & Larochelle's code, but training uses as many
shots as evaluation (their code: five shots for one-shot evaluation), and there is no dropout and no
clipping of the LSTM's gradients.
"""

from typing import Any

import keras
import tensorflow as tf

from maml_baselines.metric.metric_learner import MetricLearner
from mtnet_tf.adaptation import ModelInputs
from mtnet_tf.layers import validate_integer

# Keeps the logarithm finite for a class without attention.
SMALLEST_PROBABILITY = 1e-12


def cosine_similarity(query: tf.Tensor, support: tf.Tensor) -> tf.Tensor:
    """The cosine of the angle between each pair of embeddings.

    Args:
        query: embeddings [B, m, D].
        support: embeddings [B, n, D].

    Returns:
        Tensor [B, m, n].
    """
    query, support = (tf.math.l2_normalize(x, -1) for x in (query, support))
    return tf.matmul(query, support, transpose_b=True)


def attend(query: tf.Tensor, support: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """`log sum_i a(x, x_i) y_i` with `a = softmax over i of the cosine` (section 2.1, eq. 1).

    Args:
        query: embeddings [B, m, D].
        support: embeddings [B, n, D].
        labels: one-hot [B, n, N].

    Returns:
        Logarithms of probabilities, [B, m, N].
    """
    attention = tf.nn.softmax(cosine_similarity(query, support))
    return tf.math.log(attention @ labels + SMALLEST_PROBABILITY)


@keras.saving.register_keras_serializable(package="maml_baselines")
class MatchingNetwork(MetricLearner):
    """Attention over the support set; each embedding depends on one example (no full context)."""

    def compare(self, support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """Logarithms of probabilities, see `MetricLearner.compare`."""
        return attend(query, support, labels)


@keras.saving.register_keras_serializable(package="maml_baselines")
class FullContextMatchingNetwork(MetricLearner):
    """Embeddings that depend on the whole support set (section 2.1.2, appendix A.1 and A.2).

    Support: a bidirectional LSTM along the set, `g(x_i) = h_forward + h_backward + g'(x_i)`.
    Query: an LSTM that reads the support set with attention, `h = LSTM(f'(x), r) + f'(x)` with
    `r = sum_i softmax_i(h . g(x_i)) g(x_i)`. The weights of all LSTMs start at zero, as in Ravi &
    Larochelle's code, which at first gives attention without context.
    """

    def __init__(
        self,
        model: keras.Model,
        num_ways: int,
        num_train_ways: int | None = None,
        *,
        num_readings: int = 3,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the learner.

        Args:
            model: built Keras model, [n, ...] -> embeddings [n, D].
            num_ways: N, classes of a task.
            num_train_ways: classes of a task in training; None for `num_ways`.
            num_readings: number of steps of the query's LSTM (K of appendix A.1, which gives no
                value; 3 in Ravi & Larochelle's code).
            seed: run seed.
            **kwargs: Keras' `name`.
        """
        super().__init__(model, num_ways, num_train_ways, seed=seed, **kwargs)
        self.num_readings = validate_integer("num_readings", num_readings, 0)
        depth = ModelInputs(model).output_shape[-1]
        self.forward_cell = self._lstm_cell("forward_cell", depth)
        self.backward_cell = self._lstm_cell("backward_cell", depth)
        self.reading_cell = self._lstm_cell("reading_cell", 2 * depth)

    def _lstm_cell(self, name: str, num_inputs: int) -> keras.layers.LSTMCell:
        output = ModelInputs(self.model)
        cell = keras.layers.LSTMCell(
            output.output_shape[-1],
            kernel_initializer="zeros",
            recurrent_initializer="zeros",
            unit_forget_bias=False,
            name=name,
            seed=self.seed,  # the cell has no dropout, but it saves the seed as a variable
            dtype=output.output_dtype,
        )
        cell.build((None, num_inputs))
        return cell

    def compare(self, support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """Logarithms of probabilities, see `MetricLearner.compare`."""
        support = self.embed_support(support)
        return attend(self.embed_query(query, support), support, labels)

    def embed_support(self, support: tf.Tensor) -> tf.Tensor:
        """`g` of the paper: [B, n, D] -> [B, n, D]."""
        forward = _run(self.forward_cell, tf.unstack(support, axis=1))
        backward = _run(self.backward_cell, tf.unstack(support, axis=1)[::-1])[::-1]
        return support + tf.stack(forward, 1) + tf.stack(backward, 1)

    def embed_query(self, query: tf.Tensor, support: tf.Tensor) -> tf.Tensor:
        """`f` of the paper.

        Args:
            query: embeddings without context, [B, m, D].
            support: embeddings with context, [B, n, D].

        Returns:
            Tensor [B, m, D].
        """
        depth = query.shape[-1]
        flat = tf.reshape(query, [-1, depth])
        h, cell = tf.zeros_like(flat), tf.zeros_like(flat)
        for _ in range(self.num_readings):
            read = tf.nn.softmax(_unflatten(h, query) @ tf.transpose(support, [0, 2, 1])) @ support
            inputs = tf.concat([flat, tf.reshape(read, [-1, depth])], 1)
            h, (_, cell) = self.reading_cell(inputs, [h, cell])
            h += flat
        return _unflatten(h, query)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {**super().get_config(), "num_readings": self.num_readings}


def _run(cell: keras.layers.LSTMCell, inputs: list[tf.Tensor]) -> list[tf.Tensor]:
    """The outputs of an LSTM cell for a sequence of inputs [B, D]."""
    states, outputs = [tf.zeros_like(inputs[0])] * 2, []
    for x in inputs:
        output, states = cell(x, states)
        outputs.append(output)
    return outputs


def _unflatten(flat: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[B*m, D] -> [B, m, D]."""
    return tf.reshape(flat, tf.shape(like))
