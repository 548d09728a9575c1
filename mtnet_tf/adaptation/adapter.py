"""Adaptation as a user of a trained learner meets it: `MetaLearner.adapt`, export and prediction.

The inner loop is the learner's, as in training. What is settled here is what only its use
asks for: which masks, which statistics normalise a query, how many classes and shots there are.
"""

from typing import NamedTuple

import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.layers import SetStatistics
from mtnet_tf.meta import FewShotCrossentropy, FirstLogits, count_tasks, initial_fast_weights

STATISTICS = ("support", "query")


class Adapted(NamedTuple):
    """What B tasks have learned.

    Attributes:
      weights: fast weights, list of [B, *variable.shape].
      statistics: pairs (mean, variance), [B, 1, C] each, that normalise a query, one for each
        pass through a normalisation; empty where each set is normalised by its own.
      layers: of `statistics`, the layers that recorded them.
    """

    weights: list
    statistics: list
    layers: list


class Adapter:
    """Adapts a learner to support sets and predicts queries; computes, assigns nothing."""

    def __init__(
        self,
        learner,
        *,
        num_inner_steps=None,
        masks="most_probable",
        statistics="support",
        num_ways=None,
    ):
        """Stores the options.

        Args:
          learner: compiled `MetaLearner`.
          num_inner_steps: steps to go; None: as the learner was trained.
          masks: "most_probable", or an int, the seed of one draw that all tasks share, so that
            an answer does not depend on a task's place in the batch.
          statistics: what `TaskBatchNormalization` normalises a query with: "support", the
            support set of its task, so that a query's answer is its own; or "query", the query
            set, as in the paper, so that it depends on the queries beside it.
          num_ways: classes of the task, where they are fewer than the model's outputs: the
            first `num_ways` logits; the others take no part in loss or prediction.

        Raises:
          ValueError: for a learner without a loss, or an option that makes no sense.
        """
        _check_options(learner, num_inner_steps, masks, statistics, num_ways)
        self.learner = learner
        self.num_inner_steps = num_inner_steps
        if num_inner_steps is None:
            self.num_inner_steps = learner.num_inner_steps
        self.masks = masks
        self.statistics = statistics
        self.num_ways = num_ways

    def adapt(self, support_x, support_y):
        """Runs the inner loop.

        Args:
          support_x: [B, n, ...].
          support_y: [B, n, ...].

        Returns:
          `Adapted`.
        """
        weights = self.learner.adapt_weights(
            (support_x, support_y),
            num_inner_steps=self.num_inner_steps,
            masks=self._masks(),
            loss=self._loss(support_y),
        ).fast_weights
        found = SetStatistics()
        if self.statistics == "support":
            self._outputs(weights, support_x, found)
        return Adapted(weights, found.recorded, found.layers)

    def predict(self, adapted, query_x):
        """Outputs of the adapted networks.

        Args:
          adapted: `Adapted`.
          query_x: [B, m, ...].

        Returns:
          Tensor [B, m, ...]: the model's outputs, the first `num_ways` of them.
        """
        replayed = SetStatistics(adapted.statistics) if self.statistics == "support" else None
        return _unfold(self._outputs(adapted.weights, query_x, replayed), query_x)

    def predict_initial(self, query_x):
        """Outputs of the network before adaptation, each set normalised by its own statistics.

        Args:
          query_x: [B, m, ...].

        Returns:
          Tensor as of `predict`.
        """
        variables = [w.variable for w in self.learner.task_weights]
        weights = initial_fast_weights(variables, count_tasks(query_x))
        return _unfold(self._outputs(weights, query_x, None), query_x)

    def _outputs(self, weights, x, statistics):
        outputs = self.learner.predict_with(weights, x, statistics)
        return outputs if self.num_ways is None else outputs[..., : self.num_ways]

    def _loss(self, support_y):
        """The learner's loss, in the unit it was trained in whatever the number of shots."""
        loss = self.learner.task_loss
        if isinstance(loss, FewShotCrossentropy):
            loss = FewShotCrossentropy(tf.reshape(shots(support_y), [-1]))
        return loss if self.num_ways is None else FirstLogits(loss, self.num_ways)

    def _masks(self):
        if self.masks == "most_probable":
            return self.learner.masks(1, None, most_probable=True)
        seed = seeds.stateless_seed(self.masks, seeds.Purpose.EVALUATION_MASKS, 0)
        return self.learner.masks(1, seed)


def _unfold(outputs, x):
    """[B*m, ...] -> [B, m, ...], as `x` is."""
    return tf.reshape(outputs, [count_tasks(x), tf.shape(x)[1], *outputs.shape[1:]])


def shots(labels):
    """For each example, how many of its task's examples share its class.

    Args:
      labels: ints [B, n].

    Returns:
      float32 [B, n].
    """
    same = labels[:, :, None] == labels[:, None, :]
    return tf.reduce_sum(tf.cast(same, tf.float32), 2)


def _check_options(learner, num_inner_steps, masks, statistics, num_ways):
    if not learner.adapts_weights:
        raise ValueError(
            "The learner must be one whose weights adapt to a task, a `MetaLearner`. "
            f"Received: {type(learner).__name__}, which compares embeddings; ask its `predictors`."
        )
    if not learner.compiled:
        raise ValueError(
            "The learner must be compiled, since adaptation goes down its loss. "
            "Call `learner.compile(optimizer, loss)` first."
        )
    if num_inner_steps is not None and num_inner_steps < 0:
        raise ValueError(
            f"`num_inner_steps` must not be negative. Received: num_inner_steps={num_inner_steps}."
        )
    if masks != "most_probable" and not isinstance(masks, int):
        raise ValueError(
            f"`masks` must be 'most_probable' or an int, a seed. Received: masks={masks!r}."
        )
    if statistics not in STATISTICS:
        raise ValueError(
            f"`statistics` must be one of {STATISTICS}. Received: statistics={statistics!r}."
        )
    outputs = learner.model.output_shape[-1]
    if num_ways is not None and not 1 <= num_ways <= outputs:
        raise ValueError(
            f"`num_ways` must be from 1 to {outputs}, the model's outputs. "
            f"Received: num_ways={num_ways}."
        )
