"""Meta-Curvature (Park & Oliva 2019): meta-learned matrices that transform inner gradients."""

import math

import keras
import tensorflow as tf

from mtnet_tf import UpdateRule
from mtnet_tf.experiments import build_learner


def as_axes(shape):
    """A weight's shape as (kernel positions, inputs, outputs), without what it lacks.

    [kh, kw, C, U] -> (kh*kw, C, U); [D, U] -> (D, U); [U] -> (U,).
    """
    positions = [math.prod(shape[:-2])] if len(shape) > 2 else []
    return (*positions, *shape[-2:])


@keras.saving.register_keras_serializable(package="maml_baselines")
class MetaCurvatureRule(UpdateRule):
    """`weights - step_size * MC(gradient)`, a matrix along each axis of a gradient.

    MC2 of Park & Oliva 2019 (section 3.2): `MC(G) = G x_3 M_f x_2 M_i x_1 M_o`, with M_f over the
    positions of a convolution's kernel, M_i over its inputs and M_o over its outputs. Weights of
    one axis, biases, have a factor per entry, as in the authors' code. All start as identities,
    where this is MAML.
    """

    def __init__(self, step_size, **kwargs):
        """Creates the rule.

        Args:
          step_size: alpha, fixed; unit as of `MetaLearner`'s `step_size`.
          **kwargs: Keras' `name`, `dtype`.
        """
        super().__init__(**kwargs)
        self.step_size = step_size

    def build(self, input_shape):
        """Creates a square matrix for each axis of each task weight."""
        self.matrices = [
            [self._add_matrix(f"m_{i}_{axis}", n, len(shape)) for axis, n in enumerate(sizes)]
            for i, (shape, sizes) in enumerate((s, as_axes(s)) for s in input_shape)
        ]
        self.built = True

    def _add_matrix(self, name, size, num_axes):
        if num_axes == 1:
            return self.add_weight(name=name, shape=(size,), initializer="ones")
        return self.add_weight(name=name, shape=(size, size), initializer="identity")

    def update(self, step, weights, gradients, losses, state):
        """See `UpdateRule`."""
        found = zip(weights, gradients, self.matrices, strict=True)
        return [w - self.step_size * _transform(g, m) for w, g, m in found], None

    def get_config(self):
        """Arguments to create the rule again."""
        return {**super().get_config(), "step_size": self.step_size}


def _transform(gradient, matrices):
    """Multiplies [B, *shape] along each axis of `as_axes(shape)`."""
    if len(gradient.shape) == 2:  # of biases
        return gradient * tf.convert_to_tensor(matrices[0].value)
    x = tf.reshape(gradient, [-1, *(m.shape[0] for m in matrices)])
    for axis, matrix in enumerate(matrices, start=1):
        x = tf.tensordot(x, tf.convert_to_tensor(matrix.value), [[axis], [1]])  # axis goes last
        order = [*range(axis), len(matrices), *range(axis, len(matrices))]
        x = tf.transpose(x, order)
    return tf.reshape(x, tf.shape(gradient))


def build(settings, tasks):
    """The paper's network with a matrix per axis of each weight, compiled."""
    rule = MetaCurvatureRule(settings.step_size)
    return build_learner(settings, tasks, update_rule=rule)
