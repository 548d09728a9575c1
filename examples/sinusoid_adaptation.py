"""Meta-trains on sinusoids, then plots how a new one is learned, step by step.

python examples/sinusoid_adaptation.py [PLOT.png]
"""

import sys

import keras
import numpy as np
from matplotlib.figure import Figure

from mtnet_tf import MetaLearner, Sinusoids, regression_network

STEPS = (0, 1, 3, 10)


def main(path="sinusoid_adaptation.png", num_iterations=5000):
    """Trains for a few seconds, adapts to 10 points of a new sine, and plots it."""
    learner = MetaLearner(regression_network(), step_size=0.01)
    learner.compile(keras.optimizers.Adam(1e-3), "mean_squared_error", steps_per_execution=100)
    learner.fit(Sinusoids(), batch_size=4, steps_per_epoch=num_iterations, verbose=2)

    rng = np.random.default_rng(3)
    support_x = rng.uniform(-5, 5, (10, 1)).astype("float32")
    x = np.linspace(-5, 5, 200, dtype="float32")[:, None]
    axes = Figure(figsize=(7, 4), layout="constrained").subplots()
    axes.plot(x, sine(x), color="black", linewidth=1, label="the task")
    axes.plot(support_x, sine(support_x), "o", color="black", label="its 10 points")
    for step in STEPS:
        adapted = learner.adapt(support_x, sine(support_x), num_inner_steps=step)
        error = float(np.mean((adapted(x) - sine(x)) ** 2))
        sys.stdout.write(f"After {step:>2} inner steps: mean squared error {error:.3f}\n")
        axes.plot(x, adapted(x), alpha=0.9, label=f"after {step} steps")
    axes.legend(frameon=False, fontsize=8)
    axes.figure.savefig(path, dpi=110)


def sine(x):
    """The task."""
    return 3 * np.sin(x - 0.7)


if __name__ == "__main__":
    main(*sys.argv[1:])
