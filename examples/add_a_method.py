"""A new method in one file: signSGD in the inner loop, compared with an MT-net."""

import sys

import keras
import tensorflow as tf

from maml_baselines import METHODS, Method, build_learner, resolve
from mtnet_tf import Sinusoids, UpdateRule, evaluate
from mtnet_tf.experiments import build_learner as build_network_and_learner


@keras.saving.register_keras_serializable(package="examples")
class SignDescent(UpdateRule):
    """`weights - rate * sign(gradient)`, with one meta-learned rate per task weight."""

    def build(self, input_shape):
        """Creates a rate for each of the task weights, whose shapes these are."""
        rates = [f"rate_{i}" for i in range(len(input_shape))]
        initial = keras.initializers.Constant(0.01)
        self.rates = [self.add_weight(name=n, shape=(), initializer=initial) for n in rates]
        self.built = True

    def update(self, step, weights, gradients, losses, state):
        """One inner step for all tasks: weights [B, ...] and their masked gradients [B, ...]."""
        moves = zip(weights, self.rates, gradients, strict=True)
        return [w - tf.convert_to_tensor(r) * tf.sign(g) for w, r, g in moves], state


def build(settings, tasks):
    """Builds the paper's network for the data source, and the compiled learner."""
    return build_network_and_learner(settings, tasks, update_rule=SignDescent())


# In the package, this line is in maml_baselines/methods.py.
METHODS["sign"] = Method("this example", METHODS["mtnet"].settings, build=build)


def main(num_iterations=2000):
    """Meta-trains both for a few seconds and compares them on the same episodes."""
    for name in ("mtnet", "sign"):
        learner = build_learner(resolve({"method": name}), Sinusoids())
        learner.steps_per_execution = 100
        learner.fit(Sinusoids(), batch_size=4, steps_per_epoch=num_iterations, verbose=0)
        losses = evaluate(learner, Sinusoids(), num_episodes=200, verbose=0).query_loss
        sys.stdout.write(f"{name}: error {losses[:, 1].mean():.2f} after one inner step\n")


if __name__ == "__main__":
    main()
