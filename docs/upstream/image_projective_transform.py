"""ImageProjectiveTransformV3: the gradient is not the transpose of the transformation."""

import numpy as np
import tensorflow as tf

HALF = [[0.5, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]]  # enlarges the width by 2


def transformed(x):
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=x,
        transforms=HALF,
        output_shape=[1, 4],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


x = tf.ones([1, 1, 4, 1])
units = tf.reshape(tf.eye(4), [4, 1, 4, 1])
matrix = tf.reshape(transformed(units), [4, 4]).numpy()  # row i: the image of unit vector i
with tf.GradientTape() as tape:
    tape.watch(x)
    value = tf.reduce_sum(transformed(x))
actual = tape.gradient(value, x).numpy().ravel()
expected = np.sum(matrix, axis=1)  # the transformation is linear
print("expected", expected.tolist(), "actual", actual.tolist())
