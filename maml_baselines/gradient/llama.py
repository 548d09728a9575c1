"""LLAMA (Grant et al. 2018, subroutine 4): MAML with a Laplace approximation of the marginal.

`meta-loss of a task = query loss + eta * log det H`, with H the curvature of the query loss at the
adapted weights, approximated for each layer by a Kronecker product (K-FAC).

Deviations: the paper gives no step size and no meta-batch size; here they are MAML's. It does not
give the unit of its weight eta = 1e-6. The damping is our choice.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner
from mtnet_tf.experiments import Settings, build_learner
from mtnet_tf.layers import FastWeightScope, TaskWeight, validate_positive
from mtnet_tf.meta import MetaLoss, class_numbers, count_tasks, flatten_tasks
from mtnet_tf.tasks import Episode, TaskDistribution

# Weight of the log-determinant, from the cross-validation of section 5.2 for MiniImagenet. The
# paper does not give the unit of the loss.
ETA = 1e-6
# Keeps the factors invertible; our choice.
DAMPING = 1e-3


def output_factor(predictions: tf.Tensor, is_class: bool) -> tf.Tensor:
    """A root S of the Hessian `S S^T` of an example's loss with respect to the outputs.

    Softmax cross-entropy: the Hessian is `diag(p) - p p^T`, and `S = diag(sqrt p) - p sqrt(p)^T`.
    Half the squared error: both are the identity.

    Args:
        predictions: [n, U].
        is_class: whether the predictions are logits: one of each class, or one of class 1.

    Returns:
        Tensor [n, U, U]; each column is one direction.
    """
    if not is_class:
        size, batch = cast(int, predictions.shape[-1]), tf.shape(predictions)[:1]
        return tf.eye(size, batch_shape=batch, dtype=predictions.dtype)
    if predictions.shape[-1] == 1:  # the logit of class 1
        p = tf.sigmoid(predictions)
        return tf.sqrt(p * (1.0 - p))[:, :, None]
    p = tf.nn.softmax(predictions)
    root = tf.sqrt(p)
    return tf.linalg.diag(root) - p[:, :, None] * root[:, None, :]


def curvature_factors(
    model: keras.Model,
    task_weights: list[TaskWeight],
    weights: list[tf.Tensor],
    x: tf.Tensor,
    is_class: bool,
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Roots of the Kronecker factors of each layer's Gauss-Newton matrix of the summed loss.

    The matrix is approximated by `n A (x) G`. A is the second moment of the layer's inputs (with a
    1 for the bias), and G is that of the derivatives at its outputs, exact in expectation over the
    labels. Both are summed and averaged over the positions of an image as in KFC (Grosse & Martens
    2016, eq. 31). Examples are treated as independent, which is an approximation with batch
    normalisation. Roots are smaller than the factors, because a few images have fewer rows than
    the layer has weights.

    Args:
        model: model of TW layers without T.
        task_weights: of the model.
        weights: fast weights, list of [B, ...].
        x: examples [B, n, ...].
        is_class: whether the outputs are logits.

    Returns:
        List of pairs (R [B, r, D+1] with `R^T R = n A`, S [B, s, U] with `S^T S = G`), one for each
        TW layer.
    """
    num_tasks = count_tasks(x)
    cells: list[tuple[tf.Tensor, tf.Tensor]] = []

    def observe(layer: keras.layers.Layer, rows: tf.Tensor, outputs: tf.Tensor) -> None:
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
    found: list[list[Any]] = [tape.gradient(d, outputs) for d in directions]
    pairs = []
    for i, (rows, _) in enumerate(cells):
        ones = tf.ones_like(rows[:, :, :1])
        rows = tf.concat([rows, ones], -1)  # [B, n*positions, D+1]
        derivatives = tf.concat([g[i] for g in found], 1)  # [B, C*n*positions, U]
        count = tf.cast(tf.shape(rows)[1], rows.dtype)
        pairs.append((rows, derivatives / tf.sqrt(count)))
    return pairs


def log_determinant(
    pairs: Sequence[tuple[tf.Tensor, tf.Tensor]], damping: float = DAMPING
) -> tf.Tensor:
    """The log-determinant of the curvature: sum over layers of `log det((n A + d) (x) (G + d))`.

    Args:
        pairs: roots of n A and G, see `curvature_factors`.
        damping: d, added to the diagonals.

    Returns:
        Tensor [B].
    """
    terms = []
    for inputs, outputs in pairs:
        sizes = cast(int, inputs.shape[-1]), cast(int, outputs.shape[-1])
        logs = [_logdet(root, damping) for root in (inputs, outputs)]
        terms.append(sizes[1] * logs[0] + sizes[0] * logs[1])
    return sum(terms[1:], terms[0])


def _logdet(root: tf.Tensor, damping: float) -> tf.Tensor:
    """`log det (R^T R + d)`, [B], of a root R [B, r, D]; from `R R^T` if that is smaller.

    Sylvester: `det(R^T R + d) = d^(D - r) det(R R^T + d)`. Computed in double precision, because
    the patches of neighbouring pixels are so similar that single precision gives negative
    eigenvalues.
    """
    dtype, root = root.dtype, tf.cast(root, tf.float64)
    rows, size = cast(tuple[int | None, int], tuple(root.shape[-2:]))
    if rows is not None and rows < size:
        gram = tf.matmul(root, root, transpose_b=True)  # [B, r, r]
        missing = (size - rows) * math.log(damping)
    else:
        gram = tf.matmul(root, root, transpose_a=True)  # [B, D, D]
        missing = 0.0
    damped = gram + damping * tf.eye(cast(int, gram.shape[-1]), dtype=gram.dtype)
    diagonal = tf.linalg.diag_part(tf.linalg.cholesky(damped))
    return tf.cast(2.0 * tf.reduce_sum(tf.math.log(diagonal), -1) + missing, dtype)


@keras.saving.register_keras_serializable(package="maml_baselines")
class LLAMA(MetaLearner):
    """`query loss + eta * log det H`, with H the curvature of the query loss after adaptation.

    Each class of a task requires one more backward pass over the query set, which is differentiated
    again. A meta-step takes about ten times the time and memory of MAML.
    """

    supports_sample_weight = False  # the curvature has none

    def __init__(
        self, *args: Any, eta: float = ETA, damping: float = DAMPING, **kwargs: Any
    ) -> None:
        """Creates the learner.

        Args:
            *args: arguments of `MetaLearner`.
            eta: weight of the log-determinant, at least 0.
            damping: added to the diagonal of each Kronecker factor, positive.
            **kwargs: further arguments of `MetaLearner`.

        Raises:
            ValueError: if `eta` is negative or `damping` is not positive.
        """
        super().__init__(*args, **kwargs)
        self.eta = validate_positive("eta", eta, zero=True)
        self.damping = validate_positive("damping", damping)

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """The query loss; in training plus the log-determinant."""
        result = super().meta_loss(episode, seed, training=training)
        if not (training and self.eta):
            return result
        predictions, labels = result.query_predictions, flatten_tasks(episode.query_y)
        numbers = class_numbers(self.task_loss, labels, predictions.shape)
        pairs = curvature_factors(
            self.model,
            self.task_weights,
            result.trajectory.fast_weights,
            episode.query_x,
            numbers is not None,
        )
        term = tf.reduce_mean(log_determinant(pairs, self.damping))
        return result.with_value(result.value + self.eta * term)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {**super().get_config(), "eta": self.eta, "damping": self.damping}


def build(settings: Settings, tasks: TaskDistribution) -> LLAMA:
    """Builds the MT-net paper's network with LLAMA."""
    return build_learner(settings, tasks, kind=LLAMA)
