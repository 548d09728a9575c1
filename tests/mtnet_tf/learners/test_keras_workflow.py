import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import Episode, MetaLearner, Sinusoids, networks, seeds

TASKS = Sinusoids(num_shots=3)


def new_learner(optimizer="adam", loss="mean_squared_error", **options):
    learner = MetaLearner(networks.regression_network(dim_hidden=(6,)), 0.01)
    learner.compile(optimizer, loss, jit_compile=False, **options)
    return learner


def fit(learner, epochs=2, **options):
    options = {"steps_per_epoch": 2, "validation_data": TASKS, "validation_steps": 1, **options}
    return learner.fit(TASKS, batch_size=4, epochs=epochs, verbose=0, **options).history


def numpy_episode(rng, num_tasks=6, num_shots=3):
    x = rng.normal(size=(2, num_tasks, num_shots, 1))
    return (x[0], np.sin(x[0])), (x[1], np.sin(x[1]))


def test_keras_callbacks_work_unchanged(tmp_path):
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", "val_loss", save_best_only=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "last.weights.h5", save_weights_only=True),
        keras.callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True),
        keras.callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.5**epoch),
        keras.callbacks.ReduceLROnPlateau("val_loss"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    learner = new_learner(run_eagerly=True)
    history = fit(learner, callbacks=callbacks)
    assert float(learner.optimizer.learning_rate) == 0.5
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 3 and "val_support_loss" in rows[0]
    assert list((tmp_path / "logs").rglob("*tfevents*"))
    best = keras.saving.load_model(tmp_path / "best.keras")
    options = {"batch_size": 4, "steps": 1, "verbose": 0, "return_dict": True}
    found = best.evaluate(TASKS, **options)["loss"]
    assert found == pytest.approx(min(history["val_loss"]), rel=1e-6)
    learner.load_weights(tmp_path / "last.weights.h5")


@pytest.mark.long
def test_backup_and_restore_resumes_an_interrupted_fit(tmp_path):
    whole = new_learner(run_eagerly=True)
    fit(whole, 3)

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KeyboardInterrupt):
        fit(new_learner(run_eagerly=True), 3, callbacks=[backup(), Interrupt()])
    resumed = new_learner(run_eagerly=True)
    history = fit(resumed, 3, callbacks=[backup()])
    assert len(history["loss"]) == 1
    for ours, theirs in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def evaluate_in_callback(learner, x, **options):
    class Evaluate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            learner.evaluate(x, verbose=0, **options)

    return Evaluate()


@pytest.mark.long
def test_evaluating_other_tasks_during_fit_does_not_change_its_validation(rng):
    expected = fit(new_learner())
    others = [
        (Sinusoids(num_shots=2), {"batch_size": 3, "steps": 1}),
        (numpy_episode(rng), {"batch_size": 2}),
    ]
    for x, options in others:
        learner = new_learner()
        assert fit(learner, callbacks=[evaluate_in_callback(learner, x, **options)]) == expected


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adamw", "lion", "ftrl"])
def test_any_optimizer(optimizer):
    learner = new_learner(optimizer, run_eagerly=True)
    before = learner.model.get_weights()
    fit(learner, 1, steps_per_epoch=1, validation_data=None, validation_steps=None)
    after = learner.model.get_weights()
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("eager", [False, True])
def test_accumulated_gradients_are_of_different_tasks(scaled, eager):
    """Two accumulated batches give the update of their mean gradient."""
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    wrapped = keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer
    learner, at_once = new_learner(wrapped, run_eagerly=eager), new_learner("sgd")
    expected = [np.zeros(v.shape, "float32") for v in at_once.meta_parameters]
    for batch in range(2):
        seed = seeds.stateless_seed(0, seeds.Purpose.TRAIN_TASKS, batch)
        mask_seed = seeds.stateless_seed(0, seeds.Purpose.TRAIN_MASKS, batch)
        _, gradients = at_once.meta_gradients(TASKS.sample(seed, 4), mask_seed)
        expected = [e - 0.05 * g.numpy() for e, g in zip(expected, gradients, strict=True)]
    before = [v.numpy() for v in learner.meta_parameters]
    fit(learner, 1, validation_data=None, validation_steps=None)
    assert int(learner.optimizer.iterations) == 1
    for old, new, change in zip(before, learner.meta_parameters, expected, strict=True):
        np.testing.assert_allclose(new - old, change, rtol=1e-3, atol=1e-6)


@pytest.mark.long
def test_a_users_loss_function_is_minimised():
    def log_cosh(y_true, y_pred):
        return tf.reduce_mean(tf.math.log(tf.cosh(y_pred - y_true)), -1)

    learner = new_learner(keras.optimizers.Adam(0.01), log_cosh, metrics=["mae"])
    history = fit(learner, 3, steps_per_epoch=40, validation_steps=2)
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_mae"]


def test_numpy_arrays_generators_and_tf_data_train_alike(rng):
    support, query = numpy_episode(rng)
    ready = tf.data.Dataset.from_tensor_slices((support, query)).batch(3)
    batches = [
        tuple(tuple(a[i : i + 3] for a in half) for half in (support, query)) for i in (0, 3)
    ]
    forms = {
        "arrays": ((support, query), 3),
        "episode": (Episode(*support, *query), 3),
        "generator": (iter(batches), None),
        "episodes": ((Episode(*s, *q) for s, q in batches), None),
        "tf.data": (ready, None),
    }
    trained = {}
    for name, (x, batch_size) in forms.items():
        learner = new_learner(run_eagerly=True)
        steps = None if batch_size else 2
        learner.fit(x, batch_size=batch_size, steps_per_epoch=steps, verbose=0)
        trained[name] = np.concatenate([np.ravel(w) for w in learner.model.get_weights()])
        assert int(learner.optimizer.iterations) == 2
    for name, weights in trained.items():
        np.testing.assert_allclose(weights, trained["arrays"], atol=1e-6, err_msg=name)


def test_shots_may_differ_from_batch_to_batch_of_a_generator(rng):
    learner = new_learner(steps_per_execution=2)
    generator = (
        numpy_episode(rng, tasks, shots) for tasks, shots in ((2, 3), (4, 1), (3, 5), (1, 2))
    )
    data = numpy_episode(rng)
    history = learner.fit(
        generator, steps_per_epoch=2, epochs=2, validation_data=data, batch_size=3, verbose=0
    ).history
    assert len(history["val_loss"]) == 2
    assert learner.evaluate(data, batch_size=3, verbose=0)[0] == history["val_loss"][-1]


def test_arrays_that_are_not_episodes_are_rejected(rng):
    support, query = numpy_episode(rng)
    for x, message in (
        ((support[0], query[0]), "`x` must be episodes"),
        ((support, (query[0][:2], query[1][:2])), "the same number of tasks"),
        (iter(()), "at least one batch"),
    ):
        with pytest.raises(ValueError, match=message):
            new_learner().fit(x)
