"""tf.image.resize, bilinear: the gradient of the gradient is silently incomplete."""

import numpy as np
import tensorflow as tf

x = tf.constant([[[[1.0], [2.0]]]])  # an image of 1 x 2 pixels


def gradients(x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            resized = tf.image.resize(x * x, (1, 4))
            value = tf.reduce_sum(resized**2)
        gradient = inner.gradient(value, x)
        total = tf.reduce_sum(gradient)
    return total, outer.gradient(total, x)


actual = gradients(x)[1].numpy().ravel()
weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # resized = weights @ (x * x)
p = np.array([1.0, 2.0])
# gradient = 4 p * (weights.T @ weights @ p ** 2)
product = weights.T @ weights
expected = 4 * (product @ p**2) + 8 * p * (product @ p)
print("expected", expected.tolist(), "actual", actual.tolist())
