"""`AdaptableLearner`: what adaptation needs of a trained learner."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from mtnet_tf.layers import SetStatistics, TaskWeight
from mtnet_tf.meta import InnerTrajectory, MaskSampler


class AdaptableLearner(Protocol):
    """A compiled learner whose weights adapt to a task, such as a `MetaLearner`.

    Attributes:
        model: the Keras model, [n, ...] -> [n, ...].
        num_inner_steps: number of inner steps in training.
        adapts_weights: whether the weights adapt; False for methods that compare embeddings.
        compiled: whether `compile` was called.
        task_loss: the loss given to `compile`, a Keras loss or a function.
    """

    model: keras.Model
    num_inner_steps: int
    adapts_weights: bool
    compiled: bool
    task_loss: Any

    @property
    def run_eagerly(self) -> bool:
        """Whether nothing is compiled."""
        ...

    @property
    def step_size(self) -> Any:
        """Step size of gradient descent; raises ValueError for other update rules."""
        ...

    @property
    def update_rule(self) -> Any:
        """The `UpdateRule` of the inner loop."""
        ...

    @property
    def task_weights(self) -> list[TaskWeight]:
        """The variables that the inner loop changes."""
        ...

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables, including those of the update rule."""
        ...

    def mask_seed(self, number: int) -> tf.Tensor:
        """The stateless seed, int32 [2], of the masks with this number."""
        ...

    def masks(
        self, num_tasks: int, seed: tf.Tensor | int | None, *, most_probable: bool = False
    ) -> MaskSampler:
        """The masks of `num_tasks` tasks."""
        ...

    def adapt_weights(
        self,
        support: tuple[Any, ...],
        *,
        num_inner_steps: int,
        masks: Callable[..., Any],
        loss: Any = None,
    ) -> InnerTrajectory:
        """Runs the inner loop on support sets: x [B, n, ...], y [B, n, ...], weights [B, n]."""
        ...

    def predict_with(
        self, weights: Sequence[tf.Tensor], x: Any, statistics: SetStatistics | None = None
    ) -> tf.Tensor:
        """Outputs [B*m, ...] for x [B, m, ...] of networks with these fast weights."""
        ...
