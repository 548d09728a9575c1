"""Task by task = flattened into the batch; and layers that can't be folded adapt too."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import MetaLearner, layers
from mtnet_tf.layers.fast_weights import SetStatistics
from mtnet_tf.layers.task_weights import find_task_weights
from mtnet_tf.meta import meta_step
from mtnet_tf.meta.inner_loop import initial_fast_weights
from mtnet_tf.meta.mask_sampler import MaskSampler
from mtnet_tf.tasks import Episode

MSE = keras.losses.MeanSquaredError()
SEED = tf.constant([1, 2])


def cells():
    """A small network of every kind of layer that depends on the task."""
    stack = [
        keras.Input((6, 2), dtype="float64"),
        layers.TWConv1D(3, 2, dtype="float64"),
        layers.TaskBatchNormalization(scale=True, dtype="float64"),
        keras.layers.Flatten(dtype="float64"),
        layers.TWDense(1, activation="tanh", mask="weight", dtype="float64"),
    ]
    return keras.Sequential(stack)


class Gate(keras.layers.Layer):
    """A layer of a user, without a task axis."""

    def build(self, input_shape):
        self.strength = self.add_weight(name="strength", shape=(input_shape[-1],))

    def call(self, inputs):
        return inputs * tf.tanh(self.strength)


def stock():
    """A network of recurrent, attention and user layers."""
    steps = keras.Input((6, 2), dtype="float64")
    x = Gate(dtype="float64", name="gate")(steps)
    x = keras.layers.EinsumDense("bsd,de->bse", (6, 4), dtype="float64", name="einsum")(x)
    x = keras.layers.MultiHeadAttention(2, 3, dtype="float64", name="attention")(x, x)
    x = keras.layers.LSTM(4, dtype="float64", name="memory", unroll=True)(x)
    return keras.Model(steps, keras.layers.Dense(1, dtype="float64", name="head")(x))


@pytest.fixture
def episode(rng):
    x = tf.constant(rng.normal(size=(2, 3, 4, 6, 2)))
    y = tf.constant(rng.normal(size=(2, 3, 4, 1)))
    return Episode(x[0], y[0], x[1], y[1])


def randomize(model, rng):
    for variable in model.trainable_variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    return model


def meta_gradients(model, weights, episode, **options):
    masks = MaskSampler(weights, 3, SEED)
    options = {"num_inner_steps": 1, "step_size": 0.1, "masks": masks, **options}

    @tf.function(autograph=False)
    def compiled():
        return meta_step.meta_gradients(
            model, weights, model.trainable_variables, MSE, episode, **options
        )

    return compiled()


@pytest.mark.long
def test_task_by_task_equals_flattened(episode, rng):
    model = randomize(cells(), rng)
    flattened = find_task_weights(model)
    mapped = [w._replace(flattened=False) for w in flattened]
    (result, gradients), (expected, expected_gradients) = (
        meta_gradients(model, weights, episode) for weights in (mapped, flattened)
    )
    pairs = [(result.query_losses, expected.query_losses)]
    pairs += [(result.query_predictions, expected.query_predictions)]
    pairs += zip(result.trajectory.fast_weights, expected.trajectory.fast_weights, strict=True)
    pairs += zip(gradients, expected_gradients, strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_statistics_are_recorded_and_replayed_for_each_task(episode, rng):
    model = randomize(cells(), rng)
    flattened = find_task_weights(model)
    found = []
    for weights in (flattened, [w._replace(flattened=False) for w in flattened]):
        values = initial_fast_weights([w.variable for w in weights], 3)
        record = SetStatistics()
        meta_step.predict(model, weights, values, episode.support_x, statistics=record)
        query = meta_step.predict(
            model, weights, values, episode.query_x, statistics=record.replay()
        )
        found.append([query, *record.recorded[0]])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_each_task_adapts_stock_layers_independently(episode, rng):
    """Against plain gradient descent on the variables of the model, one task at a time."""
    model = randomize(stock(), rng)
    names = ["gate", "einsum", "attention", "memory"]
    weights = find_task_weights(model, names)
    variables = [w.variable for w in weights]
    support = (episode.support_x, episode.support_y)
    adapted = meta_step.adapt_to_support(
        model, weights, MSE, support, num_inner_steps=2, step_size=0.1, masks=None
    ).fast_weights
    start = [v.numpy() for v in variables]
    for task in range(3):
        for _ in range(2):
            with tf.GradientTape() as tape:
                errors = support[1][task] - model(support[0][task])
                value = tf.reduce_mean(tf.square(errors))
            for v, gradient in zip(variables, tape.gradient(value, variables), strict=True):
                v.assign_sub(0.1 * gradient)
        for v, ours, before in zip(variables, adapted, start, strict=True):
            np.testing.assert_allclose(ours[task], v, rtol=1e-9, atol=1e-12)
            v.assign(before)


def test_meta_gradient_through_stock_layers_is_the_numerical_one(episode, rng):
    stack = [
        Gate(dtype="float64", name="gate"),
        keras.layers.EinsumDense("bsd,de->be", 3, activation="tanh", dtype="float64", name="sum"),
        keras.layers.Dense(1, dtype="float64"),
    ]
    model = randomize(keras.Sequential([keras.Input((6, 2), dtype="float64"), *stack]), rng)
    weights = find_task_weights(model, ["gate", "sum"])
    options = {"num_inner_steps": 1, "step_size": 0.1, "masks": None}
    gradients = meta_gradients(model, weights, episode, **options)[1]

    @tf.function(autograph=False)
    def value():
        return meta_step.meta_loss(model, weights, MSE, episode, **options).value

    starts = [v.numpy() for v in model.trainable_variables]
    directions = [rng.normal(size=v.shape) for v in starts]
    numerical = 0.0
    for sign in (1.0, -1.0):
        for v, start, d in zip(model.trainable_variables, starts, directions, strict=True):
            v.assign(start + sign * 1e-5 * d)
        numerical += sign * value().numpy() / 2e-5
    analytical = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
    assert analytical == pytest.approx(numerical, rel=1e-7)


def test_dropout_differs_between_tasks_and_calls():
    model = keras.Sequential([keras.Input((50,)), Gate(name="gate"), keras.layers.Dropout(0.5)])
    model.layers[0].strength.assign(np.ones(50))
    weights = find_task_weights(model, ["gate"])
    values = initial_fast_weights([w.variable for w in weights], 2)
    x = tf.ones([2, 1, 50])
    one, other = (meta_step.predict(model, weights, values, x).numpy() != 0 for _ in range(2))
    assert np.any(one[0] != one[1])
    assert np.any(one != other)
    assert 20 < np.sum(one) < 80


def test_learner_with_layers_of_any_class_trains_and_is_saved(episode, rng, tmp_path):
    dense = [keras.layers.EinsumDense("bsd,de->be", 3, name="sum"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((6, 2)), *dense])
    learner = MetaLearner(model, step_size=0.1, adapt_layers=["sum"])
    assert [w.variable.shape for w in learner.task_weights] == [(2, 3)]
    learner.compile("adam", "mean_squared_error")
    assert not learner.jit_compile
    halves = [tf.cast(x, tf.float32) for x in episode[:4]]
    data = tf.data.Dataset.from_tensors((tuple(halves[:2]), tuple(halves[2:]))).repeat(20)
    losses = [learner.evaluate(data.take(1), verbose=0)[0]]
    learner.fit(data, verbose=0)
    losses.append(learner.evaluate(data.take(1), verbose=0)[0])
    assert losses[1] < losses[0]
    learner.save(tmp_path / "learner.keras")
    loaded = keras.saving.load_model(tmp_path / "learner.keras")
    assert loaded.adapt_layers == ["sum"]
    assert loaded.evaluate(data.take(1), verbose=0)[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["nobody"], "Received: nobody; its layers are"),
        ([], "must have trainable weights"),
    ],
)
def test_wrong_layers_to_adapt(chosen, message):
    with pytest.raises(ValueError, match=message):
        MetaLearner(stock(), step_size=0.1, adapt_layers=chosen)


def test_stock_normalisation_is_rejected_with_the_fix():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(), layers.TWDense(1)]
    )
    with pytest.raises(
        ValueError, match="must not contain BatchNormalization.*Received: .*to_mtnet"
    ):
        MetaLearner(model, step_size=0.1)


def test_activity_regularisers_are_rejected_if_tasks_are_processed_one_by_one():
    regularized = layers.TWDense(3, activity_regularizer="l2", name="regularized")
    dense = keras.layers.Dense(1, name="head")
    model = keras.Sequential([keras.Input((2,)), regularized, dense])
    MetaLearner(model, step_size=0.1)
    MetaLearner(model, step_size=0.1, adapt_layers=["regularized"])
    with pytest.raises(ValueError, match="must not contain activity regularisers .*: regularized"):
        MetaLearner(model, step_size=0.1, adapt_layers=["head"])
