"""A meta-batch that is processed in parts gives the loss, gradients and masks of the whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_baselines import METHODS, build_learner, resolve
from maml_baselines.metric.prototypical import PrototypicalNetwork
from maml_baselines.resolving import fits
from mtnet_tf import Episode, ImageClasses, MetaLearner, Sinusoids, networks
from mtnet_tf.tasks import Part

SEED = tf.constant([0, 1])
NUM_TASKS = 5
CHUNKS = (1, 2, 3, 5, 7)


def assert_close(found, expected, tolerance):
    """Compares the norm of the difference of all tensors with the norm of all tensors."""
    found, expected = tf.nest.flatten(found), tf.nest.flatten(expected)
    assert [np.shape(x) for x in found] == [np.shape(x) for x in expected]
    a, b = (np.concatenate([np.ravel(x).astype("float64") for x in y]) for y in (found, expected))
    assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


def masked_learner(dtype="float64", **options):
    """MT-net with a regulariser, whose masks matter."""
    cells = {"mask": "weight", "kernel_regularizer": keras.regularizers.L2(100.0)}
    network = networks.regression_network(dim_hidden=(6,), cell_options=cells, dtype=dtype)
    learner = MetaLearner(network, 0.1, num_inner_steps=2, **options)
    learner.compile("adam", "mean_squared_error", run_eagerly=True)
    return learner


def assert_same(found, expected, tolerance):
    """Compares what `meta_gradients` returns."""
    (found, gradients), (expected, expected_gradients) = found, expected
    assert_close(gradients, expected_gradients, tolerance)
    assert_close(found.value, expected.value, tolerance)
    assert_close(found.query_predictions, expected.query_predictions, tolerance)
    assert_close(found.query_losses, expected.query_losses, tolerance)
    losses = found.trajectory.support_losses, expected.trajectory.support_losses
    assert_close(*losses, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.long)])
def test_every_chunk_size_gives_the_meta_gradient_of_the_whole(
    dtype, tolerance, compiled, regression_episode
):
    episode = regression_episode(NUM_TASKS, dtype=dtype)
    learner = masked_learner(dtype, redraw_masks=True)
    whole = learner.meta_gradients(episode, SEED)
    assert learner.model.losses[0] > 0.001
    for learner.task_chunk in CHUNKS[: 2 if compiled else None]:
        compute = tf.function(learner.meta_gradients) if compiled else learner.meta_gradients
        assert_same(compute(episode, SEED), whole, tolerance)


@pytest.mark.long
@pytest.mark.parametrize("num_tasks", [1, 4, 5])
def test_number_of_tasks_may_be_unknown_during_tracing(num_tasks, regression_episode):
    learner = masked_learner(task_chunk=2)
    sets = regression_episode(num_tasks)[:4]
    specs = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in sets]
    compute = tf.function(
        lambda *sets: learner.meta_gradients(Episode(*sets), SEED), input_signature=specs
    )
    found = compute(*sets)
    learner.task_chunk = None
    assert_same(found, learner.meta_gradients(Episode(*sets), SEED), 1e-12)


def test_masks_of_a_part_are_those_of_the_whole():
    learner = masked_learner()
    whole = learner.masks(NUM_TASKS, SEED)(0)
    found = learner.masks(2, SEED, part=Part(3, 2, NUM_TASKS))(0)
    assert any(m is not None for m in whole)
    for a, b in zip(whole, found, strict=True):
        if a is not None:
            np.testing.assert_array_equal(a[3:], b)


@pytest.fixture
def float64():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.long
@pytest.mark.parametrize("source", ["sinusoid", "omniglot"])
@pytest.mark.parametrize("name", list(METHODS))
def test_parts_of_every_method_add_up_to_the_whole(name, source, float64):
    if not fits(METHODS[name], source):
        pytest.skip(f"{name} does not learn {source}")
    tiny = {"num_filters": 2, "hidden_units": 4, "num_inner_steps": 2, "run_eagerly": True}
    given = {"method": name, "data_source": source, "num_ways": 2, "num_train_ways": 0, **tiny}
    settings = resolve(given if source == "omniglot" else {"method": name, **tiny})
    tasks = tasks_of(source)
    learner = build_learner(settings, tasks)
    episode = tasks.sample(SEED, NUM_TASKS)
    whole, gradients = learner.meta_gradients(episode, SEED)
    learner.task_chunk = 2
    found, same_gradients = learner.meta_gradients(episode, SEED)
    assert_close(found.value, whole.value, 1e-9)
    assert_close(same_gradients, gradients, 1e-9)
    assert_close(found.query_predictions, whole.query_predictions, 1e-9)


def tasks_of(source):
    if source == "sinusoid":
        return Sinusoids(num_shots=3, num_queries=3)
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 1), np.uint8)
    return ImageClasses(images, [5] * 6, num_ways=2, num_shots=1, num_queries=2)


def test_part_of_a_sample_is_made_of_its_rows():
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), np.uint8)
    options = {"num_ways": 2, "num_shots": 1, "num_queries": 2, "rotations": True}
    for tasks in (Sinusoids(), ImageClasses(images, [5] * 6, **options)):
        whole = tasks.sample(SEED, NUM_TASKS)
        found = tasks.sample_part(SEED, Part(3, 2, NUM_TASKS))
        assert found.part == Part(3, 2, NUM_TASKS)
        for name in ("support_x", "support_y", "query_x", "query_y", "classes"):
            if getattr(whole, name) is not None:
                np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[3:])


def fitted(run_eagerly=False, steps_per_execution=1, data=None, jit_compile=False, **options):
    learner = MetaLearner(networks.regression_network(dim_hidden=(6,)), 0.01, **options)
    learner.compile(
        keras.optimizers.SGD(0.1),
        "mean_squared_error",
        ["mean_absolute_error"],
        run_eagerly=run_eagerly,
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    tasks = Sinusoids(num_shots=3)
    data = tasks if data is None else data
    steps = {"steps_per_epoch": 4} if data is tasks else {}
    history = learner.fit(
        data,
        batch_size=NUM_TASKS,
        validation_data=tasks,
        validation_steps=2,
        verbose=0,
        **steps,
    ).history
    return [np.concatenate([np.ravel(v) for v in learner.get_weights()]), *history.values()]


@pytest.mark.parametrize(
    "options",
    [
        {"run_eagerly": True},
        pytest.param({}, marks=pytest.mark.long),
        pytest.param({"steps_per_execution": 2}, marks=pytest.mark.long),
    ],
    ids=["eager", "graph", "loop"],
)
def test_training_and_metrics_do_not_depend_on_the_chunks(options):
    assert_close(fitted(task_chunk=2, **options), fitted(**options), 1e-5)


@pytest.mark.long
def test_chunks_compile_with_xla():
    options = {"jit_compile": True, "steps_per_execution": 2}
    assert_close(fitted(task_chunk=2, **options), fitted(**options), 1e-5)


@pytest.mark.long
def test_last_batch_of_user_episodes_may_be_smaller():
    x = np.random.default_rng(0).normal(size=(2, 2 * NUM_TASKS + 3, 3, 1))
    data = (x[0], np.sin(x[0])), (x[1], np.sin(x[1]))
    assert_close(fitted(task_chunk=2, data=data), fitted(data=data), 1e-5)


@pytest.mark.long
def test_layers_without_a_task_axis_can_be_processed_in_chunks(regression_episode):
    inputs = keras.Input((1,), dtype="float64")
    hidden = keras.layers.Dense(4, "tanh", dtype="float64")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, dtype="float64")(hidden))
    learner = MetaLearner(model, 0.1, adapt_layers=model.layers[1:])
    learner.compile("adam", "mean_squared_error")
    episode = regression_episode(NUM_TASKS)
    whole = tf.function(learner.meta_gradients)(episode, SEED)
    learner.task_chunk = 2
    assert_same(tf.function(learner.meta_gradients)(episode, SEED), whole, 1e-12)


def test_task_chunk_is_validated_and_saved(tmp_path):
    with pytest.raises(ValueError, match="`task_chunk` must be a positive integer. Received"):
        masked_learner(task_chunk=0)
    learner = masked_learner(task_chunk=3)
    learner.save(tmp_path / "learner.keras")
    assert keras.saving.load_model(tmp_path / "learner.keras").task_chunk == 3


def test_a_layer_that_mixes_tasks_cannot_be_processed_in_chunks():
    layers = [keras.Input([4]), keras.layers.Dense(3), keras.layers.BatchNormalization(name="bn")]
    model = keras.Sequential(layers)
    with pytest.raises(ValueError, match="`task_chunk`, .* the layer bn of class BatchNorm"):
        PrototypicalNetwork(model, 5, task_chunk=2)
    learner = PrototypicalNetwork(model, 5)
    with pytest.raises(ValueError, match="Use TaskBatchNormalization"):
        learner.task_chunk = 2
    model.layers[-1].trainable = False  # it normalises with stored statistics
    learner.task_chunk = 2
