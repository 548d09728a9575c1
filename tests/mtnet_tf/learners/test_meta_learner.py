import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import (
    EpisodicLearner,
    FewShotCrossentropy,
    ImageClasses,
    MetaLearner,
    Sinusoids,
    TWDense,
    networks,
    seeds,
)

TASKS = Sinusoids()


def new_learner(seed=0, steps_per_execution=1, jit_compile=False, **options):
    model = networks.regression_network(dim_hidden=(8, 8), seed=seed)
    learner = MetaLearner(model, 0.01, seed=seed, **options)
    adam = keras.optimizers.Adam(1e-3, epsilon=1e-8)
    # Compiling with XLA takes seconds; test_meta_step.py checks that it gives the same numbers.
    learner.compile(
        adam, "mean_squared_error", steps_per_execution=steps_per_execution, jit_compile=jit_compile
    )
    return learner


def fit(learner, steps, **options):
    return learner.fit(TASKS, batch_size=4, steps_per_epoch=steps, verbose=0, **options)


def assert_same_bits(a, b):
    for x, y in zip(a.variables, b.variables, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.long
def test_meta_training_lowers_the_loss_after_adaptation():
    history = fit(new_learner(steps_per_execution=50), 200, epochs=5).history
    assert history["loss"][-1] < 0.75 * history["loss"][0]


@pytest.mark.long
def test_loop_of_meta_steps_compiled_as_one_equals_single_steps():
    options = {"jit_compile": True}
    single, looped = new_learner(**options), new_learner(steps_per_execution=5, **options)
    fit(single, 10), fit(looped, 10)
    assert_same_bits(single, looped)


def image_learner(in_graph, optimizer="adam"):
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), np.uint8)
    options = {"num_ways": 2, "num_shots": 1, "num_queries": 2, "in_graph": in_graph}
    tasks = ImageClasses(images, [5] * 6, **options)
    learner = MetaLearner(networks.dense_image_network((4, 4, 1), 2), 0.1)
    learner.compile(optimizer, FewShotCrossentropy(1), jit_compile=False)
    return learner, tasks


@pytest.mark.long
def test_sampling_ahead_of_the_step_gives_the_same_episodes():
    """Over epochs and validation, up to the order of summation."""
    options = {"batch_size": 2, "steps_per_epoch": 2, "epochs": 2, "verbose": 0}
    histories = []
    for in_graph in (True, False):
        learner, tasks = image_learner(in_graph)
        history = learner.fit(tasks, validation_data=tasks, validation_steps=2, **options)
        histories.append(list(history.history.values()))
    np.testing.assert_allclose(*histories, rtol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("accumulated", [None, 2])
def test_sampling_ahead_continues_after_an_earlier_fit(accumulated):
    (whole, tasks), (parts, _) = (
        image_learner(False, keras.optimizers.Adam(gradient_accumulation_steps=accumulated))
        for _ in range(2)
    )
    options = {"batch_size": 2, "steps_per_epoch": 2, "verbose": 0}
    whole.fit(tasks, epochs=2, **options)
    parts.fit(tasks, **options)
    parts.fit(tasks, **options)
    assert_same_bits(whole, parts)


@pytest.mark.long
def test_sampling_ahead_resumes_an_interrupted_fit_with_the_same_bits(tmp_path):
    """Keras restores the iteration of the optimizer after `fit` has received its stream."""
    (whole, tasks), (killed, _), (resumed, _) = (image_learner(False) for _ in range(3))
    options = {"batch_size": 2, "steps_per_epoch": 2, "verbose": 0}
    whole.fit(tasks, epochs=3, **options)

    def fit_to_the_end(learner, *callbacks):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return learner.fit(tasks, epochs=3, callbacks=[backup, *callbacks], **options)

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_to_the_end(killed, Interrupt())
    assert len(fit_to_the_end(resumed).epoch) == 1
    assert_same_bits(whole.model, resumed.model)
    assert_same_bits(whole.optimizer, resumed.optimizer)


def test_every_meta_parameter_moves():
    learner = new_learner(steps_per_execution=20)
    before = [v.numpy() for v in learner.meta_parameters]
    fit(learner, 20)
    for old, variable in zip(before, learner.meta_parameters, strict=True):
        assert np.any(old != variable.numpy()), variable.path


def test_second_call_does_not_compile_again():
    learner = new_learner()
    traces = []
    step = learner.train_step
    learner.train_step = lambda data: traces.append(1) or step(data)
    fit(learner, 3)
    first = len(traces)
    fit(learner, 3, epochs=2)
    assert len(traces) == first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps_per_execution", 2),
        ("num_inner_steps", 3),
        ("first_order", True),
        ("redraw_masks", True),
        ("step_size", 0.05),
    ],
)
def test_setting_an_option_drops_the_compiled_functions_that_contain_it(name, value):
    """test_step_size_of_a_learner_can_be_changed_after_training checks the numbers."""
    learner = new_learner()
    learner.train_function = learner.test_function = print
    setattr(learner, name, value)
    assert getattr(learner, name) == value
    assert learner.train_function is None and learner.test_function is None


@pytest.mark.long
def test_learner_saved_during_training_continues_with_the_same_bits(tmp_path):
    whole, half = new_learner(), new_learner()
    fit(whole, 8)
    fit(half, 4)
    half.save(tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    assert int(resumed.optimizer.iterations) == 4
    fit(resumed, 4)
    assert_same_bits(whole.model, resumed.model)
    assert_same_bits(whole.optimizer, resumed.optimizer)


def test_config_round_trip():
    learner = MetaLearner(
        networks.regression_network(), 0.02, 3, first_order=True, redraw_masks=True, seed=5
    )
    again = MetaLearner.from_config(learner.get_config())
    for name in ("step_size", "num_inner_steps", "first_order", "redraw_masks", "seed"):
        assert getattr(again, name) == getattr(learner, name)


@pytest.mark.long
def test_seed_determines_everything():
    a, b, other = new_learner(1), new_learner(1), new_learner(2)
    for learner in (a, b, other):
        fit(learner, 3)
    assert_same_bits(a, b)
    assert np.any(a.model.weights[0].numpy() != other.model.weights[0].numpy())


@pytest.mark.long
def test_episodes_from_tf_data_are_accepted(rng):
    def episodes():
        for num_shots in (1, 2, 3):  # ragged between batches
            x = rng.random((4, 3 * num_shots, 12, 12, 1)).astype("float32")
            y = np.tile(np.arange(3, dtype="int32"), (4, num_shots))
            yield (x, y), (x, y)

    spec = (tf.TensorSpec((4, None, 12, 12, 1)), tf.TensorSpec((4, None), tf.int32))
    data = tf.data.Dataset.from_generator(episodes, output_signature=(spec, spec))
    data = data.apply(tf.data.experimental.assert_cardinality(3))
    model = networks.convolutional_network((12, 12, 1), 3, num_filters=4)
    learner = MetaLearner(model, 0.1)
    learner.compile("adam", FewShotCrossentropy(1), metrics=["accuracy"], jit_compile=False)
    history = learner.fit(data, validation_data=data, verbose=0).history
    assert {"loss", "support_loss", "accuracy", "val_accuracy"} <= set(history)
    assert learner.evaluate(data, verbose=0, return_dict=True)["accuracy"] >= 0


def test_validation_is_on_the_same_episodes_each_time():
    learner = new_learner()
    options = {"batch_size": 4, "steps": 3, "verbose": 0}
    assert learner.evaluate(TASKS, **options) == learner.evaluate(TASKS, **options)
    history = fit(learner, 1, epochs=2, validation_data=TASKS, validation_steps=3).history
    assert history["val_loss"][0] != history["val_loss"][1]


def test_any_optimizer_and_keras_callback():
    learner = new_learner()
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 10)
    learner.compile(
        keras.optimizers.SGD(schedule, momentum=0.9), "mean_absolute_error", jit_compile=False
    )
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    assert len(fit(learner, 2, epochs=5, callbacks=[stop]).history["loss"]) == 2


def test_call_gives_the_initial_predictions():
    learner = new_learner()
    x = np.ones((3, 1), "float32")
    np.testing.assert_allclose(learner.predict(x, verbose=0), learner.model(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MetaLearner(networks.regression_network(), 0), "`step_size` must be a positive"),
        (lambda: MetaLearner(networks.regression_network(), 1, -1), "must not be negative"),
        (lambda: MetaLearner(networks.regression_network(), 1).compile(), "`loss` must be"),
        (lambda: new_learner().fit(TASKS, steps_per_epoch=3), "A TaskDistribution is endless"),
        (lambda: new_learner().evaluate(TASKS, batch_size=3), "A TaskDistribution is endless"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_numpy_integers_are_integers():
    found = new_learner(seed=np.int64(3), num_inner_steps=np.int32(2))
    plain = new_learner(seed=3, num_inner_steps=2)
    assert [type(n) for n in (found.seed, found.num_inner_steps)] == [int, int]
    options = [{"num_inner_steps": n(2), "masks": n(5)} for n in (np.int64, int)]
    x = np.linspace(-1, 1, 5, dtype="float32")[:, None]
    first, second = (
        learner.adapt(x, x, **chosen)(x)
        for learner, chosen in zip((found, plain), options, strict=True)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("wrong", [True, 1.0, "1"])
def test_bools_and_floats_are_not_integers(wrong):
    model, learner = networks.regression_network(), new_learner()
    x = np.ones((3, 1), "float32")
    for name in ("num_inner_steps", "seed"):
        with pytest.raises(ValueError, match=f"`{name}` must be an integer.* Received: {name}="):
            MetaLearner(model, 0.1, **{name: wrong})
    with pytest.raises(ValueError, match="`num_inner_steps` must be an integer"):
        learner.adapt(x, x, num_inner_steps=wrong)
    with pytest.raises(ValueError, match="`masks` must be 'most_probable' or an int seed"):
        learner.adapt(x, x, masks=wrong)


# Options of Keras without a meaning for episodes. A learner's own defaults: optimizer and XLA.
LEFT_OUT = {
    "compile": {"loss_weights", "weighted_metrics"},
    "fit": set(),
    "evaluate": set(),
    "train_on_batch": set(),
    "test_on_batch": set(),
}
# Options that Keras does not have.
OWN = {"compile": {"debug": False}}
OTHER_DEFAULTS = {"optimizer": "adam", "jit_compile": True, "shuffle": False}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_options_of_keras_are_explicit_and_have_its_defaults(name):
    ours, stock = (
        {p.name: p.default for p in inspect.signature(getattr(cls, name)).parameters.values()}
        for cls in (EpisodicLearner, keras.Model)
    )
    assert {*stock} - {*ours} == LEFT_OUT[name]
    expected = {key: OTHER_DEFAULTS.get(key, value) for key, value in stock.items()}
    own = OWN.get(name, {})
    assert ours == {**own, **{key: expected[key] for key in ours if key not in own}}


@pytest.mark.long
def test_fit_and_evaluate_take_the_options_of_keras(capsys):
    learner = new_learner()
    learner.compile("sgd", "mean_squared_error", ["mae"], jit_compile=False, auto_scale_loss=False)
    sizes = []

    class Recorded(Sinusoids):
        def sample(self, seed, num_tasks):
            sizes.append(num_tasks)
            return super().sample(seed, num_tasks)

    history = fit(
        learner, 1, epochs=4, initial_epoch=1, validation_data=Recorded(), validation_steps=1,
        validation_batch_size=5, validation_freq=[3],
    )  # fmt: skip
    assert history.epoch == [1, 2, 3]
    assert len(history.history["val_loss"]) == 1
    assert set(sizes) == {5}
    ended = keras.callbacks.LambdaCallback(on_test_end=lambda logs: sizes.append("end"))
    options = {"batch_size": 2, "steps": 1, "verbose": 0}
    scores = learner.evaluate(TASKS, callbacks=[ended], return_dict=True, **options)
    assert {"loss", "mae"} <= {*scores}
    assert sizes[-1] == "end"
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="not recognized"):
        learner.evaluate(TASKS, unknown=1, **options)


def test_stock_normalisation_is_rejected():
    for stock in (keras.layers.BatchNormalization(), keras.layers.LayerNormalization()):
        model = keras.Sequential([keras.Input((1,)), TWDense(3), stock, TWDense(1)])
        with pytest.raises(ValueError, match="`model` must not .*Normalization"):
            MetaLearner(model, 0.1)


def test_validation_episodes_are_not_test_episodes():
    purposes = seeds.Purpose
    validation, test = (
        TASKS.sample(seeds.stateless_seed(0, purpose, 0), 4).query_x
        for purpose in (purposes.VALIDATION_TASKS, purposes.EVALUATION_TASKS)
    )
    assert not np.intersect1d(validation, test).size


def test_mixed_precision_trains_like_float32():
    changes = []
    for policy in ("float32", "mixed_float16"):
        model = networks.regression_network(dim_hidden=(8, 8), dtype=policy)
        before = model.get_weights()
        learner = MetaLearner(model, 0.01)
        optimizer = keras.optimizers.SGD(0.1)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        learner.compile(optimizer, "mean_squared_error", jit_compile=False)
        fit(learner, 1)
        pairs = zip(model.get_weights(), before, strict=True)
        changes.append(np.concatenate([np.ravel(a - b) for a, b in pairs]))
    assert np.abs(changes[0] - changes[1]).max() < 0.05 * np.abs(changes[0]).max()


def test_dropout_is_off_in_evaluation_and_on_in_training():
    model = keras.Sequential([keras.Input((1,)), TWDense(8), keras.layers.Dropout(0.5), TWDense(1)])
    learner = MetaLearner(model, 0.01)
    learner.compile("adam", "mean_squared_error", jit_compile=False)
    options = {"batch_size": 4, "steps": 2, "verbose": 0}
    assert learner.evaluate(TASKS, **options) == learner.evaluate(TASKS, **options)
    episode, seed = TASKS.sample(tf.constant([0, 1]), 4), tf.constant([0, 2])
    values = [learner.meta_loss(episode, seed, training=True).value.numpy() for _ in range(2)]
    assert values[0] != values[1]
