"""`UpdateRule`: what an inner step does with the gradients, where it is not gradient descent."""

import abc

import keras


class UpdateRule(keras.layers.Layer, abc.ABC):
    """Abstract rule of the inner loop; its variables are meta-learned.

    `MetaLearner(..., update_rule=rule)` builds it on the shapes of the task weights, and
    `inner_loop.adapt` calls `update` at each step.
    """

    @abc.abstractmethod
    def build(self, input_shape):
        """Creates the rule's variables.

        Args:
          input_shape: list of the shapes of the task weights.
        """

    @abc.abstractmethod
    def update(self, step, weights, gradients, losses, state):
        """One inner step.

        Args:
          step: its number, Python int, from 0.
          weights: list of [B, *variable.shape].
          gradients: likewise, masked.
          losses: [B], the support losses that they are the gradients of.
          state: what the step before returned; None at the first.

        Returns:
          Pair (weights, state).
        """
