"""XLA: tf.slice has no second derivative, unlike x[a:b]."""

import tensorflow as tf


@tf.function(jit_compile=True, autograph=False)
def gradient_of_gradient(x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = tf.reduce_sum(tf.slice(x, [1], [2]) ** 3)
        gradient = inner.gradient(value, x)
    return outer.gradient(gradient, x)


expected = "[0.0, 12.0, 18.0]"  # 6 x
try:
    actual = str(gradient_of_gradient(tf.constant([1.0, 2.0, 3.0])).numpy().tolist())
except LookupError as error:
    actual = f"LookupError: {error}"
print("expected", expected, "actual", actual)
