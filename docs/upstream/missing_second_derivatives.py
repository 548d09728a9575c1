"""Operations with a gradient that has no gradient: a LookupError."""

import tensorflow as tf

OPERATIONS = {
    "softsign": tf.nn.softsign,
    "resize nearest": lambda x: tf.image.resize(x, (3, 3), "nearest"),
    "resize bicubic": lambda x: tf.image.resize(x, (3, 3), "bicubic"),
    "resize lanczos3": lambda x: tf.image.resize(x, (3, 3), "lanczos3"),
    "crop_and_resize": lambda x: tf.image.crop_and_resize(x, [[0.0, 0.0, 1.0, 1.0]], [0], (3, 3)),
    "local_response_normalization": tf.nn.local_response_normalization,
    "max_pool_with_argmax": lambda x: tf.nn.max_pool_with_argmax(x, 2, 1, "VALID")[0],
}
actual = {}
for name, operation in OPERATIONS.items():
    x = tf.reshape(tf.range(1.0, 5.0), [1, 2, 2, 1])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = tf.reduce_sum(operation(x) ** 2)
        gradient = inner.gradient(value, x)
    try:
        actual[name] = "exists" if outer.gradient(gradient, x) is not None else "None"
    except LookupError as error:
        actual[name] = f"LookupError: {error}"
expected = dict.fromkeys(OPERATIONS, "exists")
print("expected", expected, "actual", actual)
