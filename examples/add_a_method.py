"""A new method in one file: signSGD in the inner loop, compared with gradient descent."""

import sys

import keras
import tensorflow as tf

from mtnet_tf import MetaLearner, Sinusoids, UpdateRule, evaluate, regression_network


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


def main(num_iterations=2000):
    """Meta-trains both for a few seconds and compares them on the same episodes."""
    rules = {
        "gradient descent": {"step_size": 0.01},
        "sign descent": {"update_rule": SignDescent()},
    }
    for name, options in rules.items():
        learner = MetaLearner(regression_network(), **options)
        learner.compile(keras.optimizers.Adam(1e-3), "mean_squared_error", steps_per_execution=100)
        learner.fit(Sinusoids(), batch_size=4, steps_per_epoch=num_iterations, verbose=0)
        losses = evaluate(learner, Sinusoids(), num_episodes=200, verbose=0).query_loss
        sys.stdout.write(f"{name}: error {losses[:, 1].mean():.2f} after one inner step\n")


if __name__ == "__main__":
    main()
