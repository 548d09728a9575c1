"""L-MAML / LLAMA (Grant et al. 2018): MAML with a Laplace approximation of the marginal.

The meta-loss of a task gets the log-determinant of the curvature of its query loss at the
adapted weights (subroutine 4), layer by layer as a Kronecker product (K-FAC).
"""

import math

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner
from mtnet_tf.experiments import build_learner
from mtnet_tf.layers import FastWeightScope
from mtnet_tf.meta import count_tasks, flatten_tasks

# Weight of the log-determinant, as cross-validated in section 5.2 for MiniImagenet, where the
# unit of the loss is not said.
ETA = 1e-6
# What keeps the factors invertible; chosen here.
DAMPING = 1e-3


def output_factor(predictions, is_class):
    """S with `S S^T` the Hessian of an example's loss in the network's outputs.

    Softmax cross-entropy: `diag(p) - p p^T`, S = `diag(sqrt p) - p sqrt(p)^T`. Half the squared
    error: the identity.

    Args:
      predictions: [n, U].
      is_class: whether they are logits.

    Returns:
      Tensor [n, U, U]; column c is one direction.
    """
    if not is_class:
        size, batch = predictions.shape[-1], tf.shape(predictions)[:1]
        return tf.eye(size, batch_shape=batch, dtype=predictions.dtype)
    p = tf.nn.softmax(predictions)
    root = tf.sqrt(p)
    return tf.linalg.diag(root) - p[:, :, None] * root[:, None, :]


def curvature_factors(model, task_weights, weights, x, is_class):
    """Roots of the Kronecker factors of each cell's Gauss-Newton matrix of a set's summed loss.

    `sum over examples ~ n A (x) G`, A the second moment of the cell's inputs (with a 1 for the
    bias) and G that of the derivatives at its outputs, exact in expectation over labels; summed
    and averaged over the positions of a picture as in KFC (Grosse & Martens 2016, eq. 31).
    Examples count as independent, which normalisation by the set makes an approximation. Roots,
    since a few pictures have fewer rows than the cell has weights.

    Args:
      model: Keras model of TW layers without T.
      task_weights: list of `TaskWeight`.
      weights: fast weights, list of [B, ...].
      x: [B, n, ...].
      is_class: whether the outputs are logits.

    Returns:
      List of pairs (R [B, r, D+1] with `R^T R = n A`, S [B, s, U] with `S^T S = G`), in the order
      of the cells.
    """
    num_tasks, cells = count_tasks(x), []

    def observe(layer, rows, outputs):
        cells.append((rows, outputs))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(weights)
        values = zip([w.variable for w in task_weights], weights, strict=True)
        with FastWeightScope(values, num_tasks, on_cell=observe):
            predictions = model(flatten_tasks(x), training=True)
        factor = tf.stop_gradient(output_factor(predictions, is_class))
        directions = [
            tf.reduce_sum(factor[:, :, c] * predictions) for c in range(predictions.shape[-1])
        ]
    outputs = [output for _, output in cells]
    found = [tape.gradient(d, outputs) for d in directions]
    pairs = []
    for i, (rows, _) in enumerate(cells):
        ones = tf.ones_like(rows[..., :1])
        rows = tf.concat([rows, ones], -1)  # [B, n*positions, D+1]
        derivatives = tf.concat([g[i] for g in found], 1)  # [B, C*n*positions, U]
        count = tf.cast(tf.shape(rows)[1], rows.dtype)
        pairs.append((rows, derivatives / tf.sqrt(count)))
    return pairs


def log_determinant(pairs, damping=DAMPING):
    """`log det` of the block-diagonal curvature, `sum of log det((nA + d) (x) (G + d))`, [B]."""
    total = 0.0
    for inputs, outputs in pairs:
        sizes = inputs.shape[-1], outputs.shape[-1]
        logs = [_logdet(root, damping) for root in (inputs, outputs)]
        total += sizes[1] * logs[0] + sizes[0] * logs[1]
    return total


def _logdet(root, damping):
    """`log det (R^T R + d)`, [B], of a root R [B, r, D]; from `R R^T` where that is smaller.

    Sylvester: `det(R^T R + d) = d^(D - r) det(R R^T + d)`. In double precision: the patches of
    neighbouring pixels are so alike that single precision finds negative eigenvalues.
    """
    dtype, root = root.dtype, tf.cast(root, tf.float64)
    rows, size = root.shape[-2:]
    is_wide = rows is not None and rows < size
    gram = tf.matmul(root, root, transpose_a=not is_wide, transpose_b=is_wide)
    damped = gram + damping * tf.eye(gram.shape[-1], dtype=gram.dtype)
    diagonal = tf.linalg.diag_part(tf.linalg.cholesky(damped))
    missing = (size - rows) * math.log(damping) if is_wide else 0.0
    return tf.cast(2.0 * tf.reduce_sum(tf.math.log(diagonal), -1) + missing, dtype)


@keras.saving.register_keras_serializable(package="maml_baselines")
class LLAMA(MetaLearner):
    """`query loss + eta * log det H` with H the query loss's curvature at the adapted weights.

    Every class of a task costs one more backward pass over its queries, differentiated again: some
    ten times the time of MAML, and as much more memory.
    """

    def __init__(self, *args, eta=ETA, damping=DAMPING, **kwargs):
        """Creates the learner.

        Args:
          *args: as of `MetaLearner`.
          eta: weight of the log-determinant, at least 0.
          damping: added to the diagonal of each Kronecker factor, positive.
          **kwargs: as of `MetaLearner`.

        Raises:
          ValueError: for numbers that make no sense.
        """
        if eta < 0 or damping <= 0:
            raise ValueError(
                "`eta` must not be negative and `damping` must be positive. "
                f"Received: eta={eta}, damping={damping}."
            )
        super().__init__(*args, **kwargs)
        self.eta = eta
        self.damping = damping

    def meta_loss(self, episode, seed, *, training):
        """With the log-determinant in training; in validation the query loss."""
        result = super().meta_loss(episode, seed, training=training)
        if not (training and self.eta):
            return result
        pairs = curvature_factors(
            self.model,
            self.task_weights,
            result.trajectory.fast_weights,
            episode.query_x,
            episode.query_y.dtype.is_integer,
        )
        term = tf.reduce_mean(log_determinant(pairs, self.damping))
        return result.with_value(result.value + self.eta * term)

    def get_config(self):
        """Arguments to create the learner again."""
        return {**super().get_config(), "eta": self.eta, "damping": self.damping}


def build(settings, tasks):
    """The paper's network with the Laplace term, compiled."""
    return build_learner(settings, tasks, kind=LLAMA)
