"""`Adapter`: adapts a trained learner to new tasks and predicts their queries.

The inner loop is the one of training. `MetaLearner.adapt`, `MetaLearner.export` and
`FewShotClassifier` use this class. It adds the options that only apply after training: the masks,
the statistics that normalise a query, and the number of classes.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from mtnet_tf.adaptation.adapted import Adapted
from mtnet_tf.adaptation.finiteness import check_finite_inputs, check_finite_result
from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.adaptation.model_inputs import Inputs, ModelInputs
from mtnet_tf.adaptation.options import check_learner, check_options
from mtnet_tf.layers import SetStatistics, validate_integer
from mtnet_tf.meta import (
    FewShotCrossentropy,
    FirstLogits,
    InnerTrajectory,
    check_labels,
    class_numbers,
    count_tasks,
    flatten_tasks,
    initial_fast_weights,
    predicted_classes,
    probabilities,
    unflatten_tasks,
)


class Adapter:
    """Adapts a learner to support sets and predicts queries, without changing any variable.

    Example:
    >>> from mtnet_tf import MetaLearner, networks
    >>> learner = MetaLearner(networks.regression_network(dim_hidden=(5,)), step_size=0.1)
    >>> learner.compile("adam", "mean_squared_error")
    >>> adapter = Adapter(learner, num_inner_steps=5)
    >>> adapted = adapter.adapt(tf.zeros([2, 3, 1]), tf.ones([2, 3, 1]))  # two tasks, three shots
    >>> adapter.predict(adapted, tf.zeros([2, 4, 1])).shape
    TensorShape([2, 4, 1])
    """

    def __init__(
        self,
        learner: AdaptableLearner,
        *,
        num_inner_steps: int | None = None,
        masks: str | int = "most_probable",
        statistics: str = "support",
        num_ways: int | None = None,
        inputs: ModelInputs | None = None,
    ) -> None:
        """Stores the options.

        Args:
            learner: compiled `MetaLearner`.
            num_inner_steps: number of inner steps; None for the number used in training.
            masks: "most_probable"; or an int, the seed of one draw that all tasks share, so that
                an output does not depend on the position of its task in the batch.
            statistics: which set gives the statistics by which `TaskBatchNormalization`
                normalises a query: "support", so that the output for a query does not depend on
                the other queries; or "query", as in the paper.
            num_ways: number of classes of the task if the model has more outputs. The loss and
                the prediction then use the first `num_ways` logits only.
            inputs: the `ModelInputs` of the model, if they are known already.

        Raises:
            ValueError: if the learner does not adapt its weights or is not compiled, or if an
                option has a wrong value.
        """
        check_learner(learner)
        self.inputs = ModelInputs(learner.model) if inputs is None else inputs
        outputs = self.inputs.output_shape[-1] or 1
        # A binary classifier has one output, the score of class 1.
        self.num_classes = 2 if outputs == 1 else outputs
        num_ways = None if num_ways is None else validate_integer("num_ways", num_ways, 1)
        check_options(self.num_classes, masks, statistics, num_ways)
        self.num_classes = num_ways or self.num_classes
        self.learner = learner
        self.num_inner_steps = (
            learner.num_inner_steps
            if num_inner_steps is None
            else validate_integer("num_inner_steps", num_inner_steps, 0)
        )
        self.masks = masks if isinstance(masks, str) else int(masks)
        self.statistics = statistics
        self.num_ways = None if outputs == 1 else num_ways

    def adapt(
        self, support_x: Inputs, support_y: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> Adapted:
        """Runs the inner loop.

        Args:
            support_x: [B, n, ...], or a structure of such tensors.
            support_y: [B, n, ...].
            sample_weight: [B, n], factors of the losses of the examples; None for 1.

        Returns:
            `Adapted`.

        Raises:
            ValueError: if the support set, an adapted weight or an output of the adapted networks
                is not finite, or a label does not fit the loss. A compiled program, such as an
                exported SavedModel, cannot raise it.
        """
        support = (support_x, support_y)
        support = support if sample_weight is None else (*support, sample_weight)
        if not tf.executing_eagerly():
            return self.learn(support, self.masks)[0]
        self.check_support(*support)
        adapted, trajectory, outputs = self.learn(support, self.masks)
        check_finite_result(self.learner, trajectory, outputs)
        return adapted

    def learn(
        self, support: tuple[Any, ...], masks: str | int | tf.Tensor
    ) -> tuple[Adapted, InnerTrajectory, tf.Tensor | None]:
        """Runs the inner loop without any checks.

        Args:
            support: x [B, n, ...], y [B, n, ...] and, if they are given, weights [B, n].
            masks: as in the constructor; or a stateless seed, int32 [2].

        Returns:
            Triple (`Adapted`, all weights and losses, outputs [B*n, ...] for the support set). The
            outputs are None if they are not needed, because each set has its own statistics.
        """
        x, y = support[:2]
        if isinstance(masks, str):
            sampler = self.learner.masks(1, None, most_probable=True)
        else:
            sampler = self.learner.masks(1, masks)
        trajectory = self.learner.adapt_weights(
            support, num_inner_steps=self.num_inner_steps, masks=sampler, loss=self._loss(y)
        )
        outputs, recorder = None, SetStatistics()
        if self.statistics == "support":
            outputs = self._outputs(trajectory.fast_weights, x, recorder)
        adapted = Adapted(trajectory.fast_weights, recorder.recorded, recorder.layers)
        return adapted, trajectory, outputs

    def check_support(
        self, x: Inputs, y: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Raises ValueError if a support set [B, n, ...] has values that no network can learn."""
        shape = self.inputs.output_shape
        if self.num_ways is not None:
            shape = (*shape[:-1], self.num_ways)
        check_labels(self.learner.task_loss, np.asarray(y), shape, "support_y")
        check_finite_inputs(support_x=x, sample_weight=sample_weight)

    def predict(self, adapted: Adapted, query_x: Inputs) -> tf.Tensor:
        """Outputs of the adapted networks.

        Args:
            adapted: `Adapted`.
            query_x: [B, m, ...].

        Returns:
            Tensor [B, m, ...]: the outputs of the model, the first `num_ways` of them if that is
            set.
        """
        replayed = SetStatistics(adapted.statistics) if self.statistics == "support" else None
        return unflatten_tasks(self._outputs(adapted.weights, query_x, replayed), query_x)

    def predict_probabilities(self, adapted: Adapted, query_x: Inputs) -> tf.Tensor:
        """Probabilities of the classes, [B, m, N], as the learner's loss defines them.

        Args:
            adapted: `Adapted`.
            query_x: [B, m, ...].
        """
        outputs = self.predict(adapted, query_x)
        return probabilities(self.learner.task_loss, outputs, num_batch_axes=2)

    def predict_classes(self, adapted: Adapted, query_x: Inputs) -> tf.Tensor:
        """Numbers of the most probable classes, int32 [B, m].

        Args:
            adapted: `Adapted`.
            query_x: [B, m, ...].
        """
        outputs = self.predict(adapted, query_x)
        return predicted_classes(self.learner.task_loss, outputs, num_batch_axes=2)

    def predict_initial(self, query_x: Inputs) -> tf.Tensor:
        """Outputs of the network before adaptation; each set is normalised by its own statistics.

        Args:
            query_x: [B, m, ...].

        Returns:
            Tensor [B, m, ...], as from `predict`.
        """
        variables = [w.variable for w in self.learner.task_weights]
        weights = initial_fast_weights(variables, count_tasks(query_x))
        return unflatten_tasks(self._outputs(weights, query_x, None), query_x)

    def _outputs(
        self, weights: list[tf.Tensor], x: Inputs, statistics: SetStatistics | None
    ) -> tf.Tensor:
        outputs = self.learner.predict_with(weights, x, statistics)
        if self.num_ways is None:
            return outputs
        return outputs[..., : self.num_ways]  # pyright: ignore[reportArgumentType]

    def _loss(self, support_y: tf.Tensor) -> Any:
        """The loss of the learner, in the unit of training for every number of shots."""
        loss = self.learner.task_loss
        if isinstance(loss, FewShotCrossentropy):
            labels = flatten_tasks(support_y)
            numbers = class_numbers(loss, labels, self.inputs.output_shape)
            if numbers is not None and numbers.shape.rank == 1:  # not one for each pixel or step
                numbers = tf.reshape(numbers, [count_tasks(support_y), -1])
                shots_of_examples = tf.reshape(shots(numbers), [-1])
                loss = FewShotCrossentropy(shots_of_examples, one_hot=loss.one_hot)
        return loss if self.num_ways is None else FirstLogits(loss, self.num_ways)


def shots(labels: tf.Tensor) -> tf.Tensor:
    """For each example, the number of examples of its task that have the same class.

    Example:
    >>> shots(tf.constant([[0, 0, 1]])).numpy()
    array([[2., 2., 1.]], dtype=float32)

    Args:
        labels: ints [B, n].

    Returns:
        float32 [B, n].
    """
    same = labels[:, :, None] == labels[:, None, :]  # [B, n, n]
    return tf.reduce_sum(tf.cast(same, tf.float32), 2)
