"""keras.losses.Circle: the second derivative is not finite."""

import keras
import numpy as np
import tensorflow as tf

loss = keras.losses.Circle()
labels = tf.constant([0, 2, 1, 1])  # two classes have one example each
x = tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)
with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as inner:
        inner.watch(x)
        value = loss(labels, x)
    gradient = inner.gradient(value, x)
    slope = tf.reduce_sum(gradient)
actual = outer.gradient(slope, x).numpy()
print("gradient", gradient.numpy().tolist())
expected = "finite numbers"
actual = expected if np.all(np.isfinite(actual)) else actual.tolist()
print("expected", expected, "actual", actual)
