"""Meta-Curvature (Park & Oliva 2019, section 3.2): meta-learned matrices transform gradients.

`weights - step_size * MC(gradient)`, where `MC` multiplies a gradient by a matrix along each of its
axes. No deviation is known.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, UpdateRule
from mtnet_tf.experiments import Settings, build_learner
from mtnet_tf.layers import validate_positive
from mtnet_tf.tasks import TaskDistribution


def as_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a weight with all positions of a convolution's kernel in one axis.

    Example:
    >>> as_axes((3, 3, 16, 32)), as_axes((16, 32)), as_axes((32,))
    ((9, 16, 32), (16, 32), (32,))

    Args:
        shape: [kh, kw, C, U], [D, U] or [U].
    """
    positions = [math.prod(shape[:-2])] if len(shape) > 2 else []
    return (*positions, *shape[-2:])


@keras.saving.register_keras_serializable(package="maml_baselines")
class MetaCurvatureRule(UpdateRule):
    """`weights - step_size * MC(gradient)`, with a matrix along each axis of a gradient.

    MC2 of section 3.2: `MC(G) = G x_3 M_f x_2 M_i x_1 M_o`, with M_f over the positions of a
    convolution's kernel, M_i over its inputs and M_o over its outputs. A bias has one factor per
    entry, as in the authors' code. All matrices start as identities, which is MAML.

    Attributes:
        matrices: for each task weight, a list with a matrix for each axis of `as_axes(shape)`; for
            a bias [U] a list with one vector [U].
    """

    matrices: list[list[keras.Variable]]

    def __init__(self, step_size: float, **kwargs: Any) -> None:
        """Creates the rule.

        Args:
            step_size: alpha, fixed, in the unit of `MetaLearner`'s `step_size`.
            **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.step_size = validate_positive("step_size", step_size)

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Creates a square matrix for each axis of each task weight."""
        self.matrices = [
            [self._add_matrix(f"m_{i}_{axis}", n, len(shape)) for axis, n in enumerate(sizes)]
            for i, (shape, sizes) in enumerate((s, as_axes(s)) for s in input_shape)
        ]
        self.built = True

    def _add_matrix(self, name: str, size: int, num_axes: int) -> keras.Variable:
        if num_axes == 1:
            return self.add_weight(name=name, shape=(size,), initializer="ones")
        return self.add_weight(name=name, shape=(size, size), initializer="identity")

    def update(
        self,
        step: int,
        weights: list[tf.Tensor],
        gradients: list[tf.Tensor],
        losses: tf.Tensor,
        state: Any,
    ) -> tuple[list[tf.Tensor], Any]:
        """One inner step, see `UpdateRule.update`. There is no state."""
        found = zip(weights, gradients, self.matrices, strict=True)
        return [w - self.step_size * _transform(g, m) for w, g, m in found], None

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {**super().get_config(), "step_size": self.step_size}


def _transform(gradient: tf.Tensor, matrices: list[keras.Variable]) -> tf.Tensor:
    """Multiplies a gradient [B, *shape] by a matrix along each axis of `as_axes(shape)`."""
    if len(gradient.shape) == 2:  # of a bias
        return gradient * tf.convert_to_tensor(matrices[0].value)
    x = tf.reshape(gradient, [-1, *(m.shape[0] for m in matrices)])
    for axis, matrix in enumerate(matrices, start=1):
        x = tf.tensordot(x, tf.convert_to_tensor(matrix.value), [[axis], [1]])  # axis is now last
        order = [*range(axis), len(matrices), *range(axis, len(matrices))]
        x = tf.transpose(x, order)
    return tf.reshape(x, tf.shape(gradient))


def build(settings: Settings, tasks: TaskDistribution) -> MetaLearner:
    """Builds the MT-net paper's network with Meta-Curvature."""
    rule = MetaCurvatureRule(settings.step_size)
    return build_learner(settings, tasks, update_rule=rule)
