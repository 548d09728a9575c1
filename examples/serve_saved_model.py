"""Exports a learner and uses it in a process that has TensorFlow but not this package."""

import subprocess
import sys
import tempfile

import keras

from mtnet_tf import MetaLearner, Sinusoids, regression_network

CLIENT = """
import sys
sys.modules["mtnet_tf"] = None  # importing it would fail
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures
x = np.random.default_rng(0).uniform(-5, 5, (2, 20, 1)).astype("float32")
y = np.stack([2 * np.sin(x[0] + 1), -np.sin(x[1])])  # two tasks at once
support = {"support_x": tf.constant(x[:, :10]), "support_y": tf.constant(y[:, :10])}
query = {"query_x": tf.constant(x[:, 10:])}
answer = served["adapt_and_predict"](**support, **query)["predictions"]
before = served["predict_initial"](**query)["predictions"]
for task in range(2):
    errors = [np.mean((found[task] - y[task, 10:]) ** 2) for found in (before, answer)]
    print(f"Task {task}: mean squared error {errors[0]:.2f} -> {errors[1]:.2f} after adaptation")
"""


def main(num_iterations=5000):
    """Trains for a few seconds, exports, and predicts."""
    learner = MetaLearner(regression_network(), step_size=0.01)
    learner.compile(keras.optimizers.Adam(1e-3), "mean_squared_error", steps_per_execution=100)
    learner.fit(Sinusoids(), batch_size=4, steps_per_epoch=num_iterations, verbose=2)
    with tempfile.TemporaryDirectory() as folder:
        path = learner.export(f"{folder}/sinusoids/1", num_inner_steps=5)
        client = [sys.executable, "-c", CLIENT, str(path)]
        served = subprocess.run(client, check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
    sys.stdout.write(served.stdout)


if __name__ == "__main__":
    main()
