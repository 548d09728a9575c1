"""tf.nn.moments: the second derivative of the variance is wrong."""

import tensorflow as tf

x = tf.constant([1.0, 3.0], tf.float64)
with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as inner:
        inner.watch(x)
        variance = tf.nn.moments(x, [0])[1]
    gradient = inner.gradient(variance, x)
actual = outer.jacobian(gradient, x).numpy()
# variance = (x[0] - x[1]) ** 2 / 4
expected = [[0.5, -0.5], [-0.5, 0.5]]
print("expected", expected, "actual", actual.tolist())
