"""Matching Networks (Vinyals et al. 2016), with and without full context embeddings."""

import keras
import tensorflow as tf

from maml_baselines.metric.metric_learner import MetricLearner

# Keeps the logarithm of a class that gets no attention finite.
SMALLEST_PROBABILITY = 1e-12


def cosine_similarity(query, support):
    """[B, m, D] and [B, n, D] -> cosines [B, m, n]."""
    query, support = (tf.math.l2_normalize(x, -1) for x in (query, support))
    return tf.matmul(query, support, transpose_b=True)


def attend(query, support, labels):
    """`log sum_i a(x, x_i) y_i` with `a = softmax_i(cosine)` (eq. 1 and 2 of section 2.1).

    Args:
      query: [B, m, D].
      support: [B, n, D].
      labels: one-hot [B, n, N].

    Returns:
      Logarithms of probabilities, [B, m, N].
    """
    attention = tf.nn.softmax(cosine_similarity(query, support))
    return tf.math.log(attention @ labels + SMALLEST_PROBABILITY)


@keras.saving.register_keras_serializable(package="maml_baselines")
class MatchingNetwork(MetricLearner):
    """Attention over the support set; each embedding is its own (no full context)."""

    def compare(self, support, labels, query):
        """See `MetricLearner`."""
        return attend(query, support, labels)


@keras.saving.register_keras_serializable(package="maml_baselines")
class FullContextMatchingNetwork(MetricLearner):
    """Embeddings that know the whole support set (section 2.1.2, appendix A.1 and A.2).

    Support: a bidirectional LSTM along the set, `g(x_i) = h_forward + h_backward + g'(x_i)`.
    Query: an LSTM that reads the support set by attention for a few steps, `h = LSTM(f'(x), r)
    + f'(x)` with `r = sum_i softmax_i(h . g(x_i)) g(x_i)`. All LSTMs start at zero, as in Ravi &
    Larochelle's code: at first this is attention without context.
    """

    def __init__(self, model, num_ways, num_train_ways=None, *, num_readings=3, **kwargs):
        """Creates the learner.

        Args:
          model: built Keras model, [n, ...] -> embeddings [n, D].
          num_ways: N.
          num_train_ways: see `MetricLearner`.
          num_readings: steps of the LSTM of a query (K of appendix A.1, which gives no number; 3 in
            Ravi & Larochelle's code).
          **kwargs: as of `MetricLearner`.
        """
        super().__init__(model, num_ways, num_train_ways, **kwargs)
        self.num_readings = num_readings
        depth, dtype = model.output_shape[-1], model.outputs[0].dtype
        names = {"forward_cell": depth, "backward_cell": depth, "reading_cell": 2 * depth}
        for name, inputs in names.items():
            cell = keras.layers.LSTMCell(
                depth,
                kernel_initializer="zeros",
                recurrent_initializer="zeros",
                unit_forget_bias=False,
                name=name,
                seed=self.seed,  # of no dropout; but it is a variable of the cell
                dtype=dtype,
            )
            cell.build((None, inputs))
            setattr(self, name, cell)

    def compare(self, support, labels, query):
        """See `MetricLearner`."""
        support = self.embed_support(support)
        return attend(self.embed_query(query, support), support, labels)

    def embed_support(self, support):
        """`g`: [B, n, D] -> [B, n, D]."""
        forward = _run(self.forward_cell, tf.unstack(support, axis=1))
        backward = _run(self.backward_cell, tf.unstack(support, axis=1)[::-1])[::-1]
        return support + tf.stack(forward, 1) + tf.stack(backward, 1)

    def embed_query(self, query, support):
        """`f`: [B, m, D], with the support embeddings [B, n, D] -> [B, m, D]."""
        depth = query.shape[-1]
        flat = tf.reshape(query, [-1, depth])
        h, cell = tf.zeros_like(flat), tf.zeros_like(flat)
        for _ in range(self.num_readings):
            read = tf.nn.softmax(_unfold(h, query) @ tf.transpose(support, [0, 2, 1])) @ support
            inputs = tf.concat([flat, tf.reshape(read, [-1, depth])], 1)
            h, (_, cell) = self.reading_cell(inputs, [h, cell])
            h += flat
        return _unfold(h, query)

    def get_config(self):
        """Arguments to create the learner again."""
        return {**super().get_config(), "num_readings": self.num_readings}


def _run(cell, inputs):
    """The outputs of an LSTM cell along a list of [B, D]."""
    states, outputs = [tf.zeros_like(inputs[0])] * 2, []
    for x in inputs:
        output, states = cell(x, states)
        outputs.append(output)
    return outputs


def _unfold(flat, like):
    return tf.reshape(flat, tf.shape(like))
