"""The layers of this package in an ordinary Keras model, trained with `fit`."""

import sys

import keras
import numpy as np

from mtnet_tf import TWDense


def main():
    """Fits a sine. Without meta-learning, the layers behave like dense layers."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            TWDense(40, "relu"),
            keras.layers.Dense(40, "relu"),  # TW and stock layers can be mixed
            TWDense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mean_squared_error")
    x = np.linspace(-3, 3, 256, dtype="float32")[:, None]
    history = model.fit(x, np.sin(x), epochs=60, batch_size=64, verbose=0).history
    sys.stdout.write(f"Loss {history['loss'][0]:.3f} -> {history['loss'][-1]:.4f}\n")
    for weight in model.layers[0].weights:
        sys.stdout.write(f"{weight.path}: {weight.shape}\n")


if __name__ == "__main__":
    main()
