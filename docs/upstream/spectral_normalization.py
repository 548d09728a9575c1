"""keras.layers.SpectralNormalization: the gradient ignores the division by the norm."""

import keras
import tensorflow as tf

keras.utils.set_random_seed(0)
layer = keras.layers.SpectralNormalization(keras.layers.Dense(2, use_bias=False), 20)
x = tf.constant([[1.0, 2.0]])
layer(x)
kernel = layer.layer.kernel
start = tf.constant([[3.0, 1.0], [0.0, 2.0]])
kernel.assign(start)
with tf.GradientTape() as tape:
    value = tf.reduce_sum(layer(x, training=True))
gradient = tape.gradient(value, kernel.value)
# The output does not depend on the scale of the kernel, so that the derivative along it is 0.
actual = float(tf.reduce_sum(gradient * start))
expected = 0.0
print("expected", expected, "actual", actual)
