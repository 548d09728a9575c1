"""MaxPool3DGradGrad in a tf.function: it overwrites its input, and the result is zero."""

import tensorflow as tf

x = tf.reshape([1.0, 2.0], [1, 1, 1, 2, 1])


def gradient_of_gradient(x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = tf.reduce_sum(tf.nn.max_pool3d(x, 2, 1, "SAME") ** 2)
        gradient = inner.gradient(value, x)
        slope = tf.reduce_sum(gradient**2)
    return outer.gradient(slope, x)


# value = 2 * x[1] ** 2, slope = 16 * x[1] ** 2
expected = [0.0, 64.0]
actual = tf.function(gradient_of_gradient)(x).numpy().ravel()
eager = gradient_of_gradient(x).numpy().ravel()
print("expected", expected, "eager", eager.tolist(), "actual in a graph", actual.tolist())
