"""XLA: MaxPoolGradGrad chooses a wrong element if values differ by less than about 1 %."""

import tensorflow as tf

x = tf.reshape([1.0, 1.003, 1.001, 1.002], [1, 1, 4, 1])


def gradient_of_gradient(x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = tf.reduce_sum(tf.nn.max_pool2d(x, [1, 4], 1, "VALID") ** 2)
        gradient = inner.gradient(value, x)
        slope = tf.reduce_sum(gradient * [[[[1.0], [2.0], [3.0], [4.0]]]])
    return outer.gradient(slope, x)


# value = x[1] ** 2, slope = 2 * 2 * x[1]
expected = [0.0, 4.0, 0.0, 0.0]
actual = tf.function(gradient_of_gradient, jit_compile=True)(x).numpy().ravel()
eager = gradient_of_gradient(x).numpy().ravel()
print("expected", expected, "eager", eager.tolist(), "actual with XLA", actual.tolist())
