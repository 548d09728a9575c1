"""keras.ops.add, TensorFlow backend: [n, c] + [n, 1] is wrong if n equals c."""

import keras
import numpy as np

x, y = np.zeros((2, 2), "float32"), np.array([[1.0], [2.0]], "float32")
actual = keras.ops.convert_to_numpy(keras.ops.add(x, y)).tolist()
expected = (x + y).tolist()
layer = keras.layers.Add()([x, y]).numpy().tolist()
print("expected", expected, "actual", actual, "keras.layers.Add", layer)
