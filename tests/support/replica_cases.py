"""Runs named cases on four logical devices and prints, as JSON, how far replicas are from one.

    python tests/support/replica_cases.py CASE...

Logical devices must be created before TensorFlow starts, so this is a program of its own.
"""

import contextlib
import functools
import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from maml_baselines import build_learner, resolve
from mtnet_tf import ImageClasses, MetaLearner, Sinusoids, evaluate, regression_network

NUM_DEVICES = 4
CASES = {}


def case(function):
    """Registers a function that returns a dict of relative differences or other findings."""
    CASES[function.__name__] = function
    return function


@functools.cache
def mirrored(count):
    """A strategy that sums by collective operations, for two replicas, or on one device."""
    devices = [f"CPU:{i}" for i in range(count)]
    # The collective operations of two strategies in a process would be taken for each other.
    reduction = None if count == 2 else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=reduction)


def scope_of(count):
    return mirrored(count).scope() if count else contextlib.nullcontext()


def regression_learner(count, dtype="float64", jit_compile=False, steps_per_execution=1, **options):
    """A masked MT-net on `count` replicas, or on one device without a strategy for 0."""
    keras.utils.set_random_seed(1)
    cells = {"mask": "weight", "kernel_regularizer": keras.regularizers.L2(0.1)}
    with scope_of(count):
        network = regression_network(dim_hidden=(6,), cell_options=cells, dtype=dtype)
        learner = MetaLearner(network, 0.1, **{"seed": 3, **options})
    # Clipping shows whether gradients are clipped before or after they are summed.
    learner.compile(
        keras.optimizers.Adam(0.01, clipvalue=0.5),
        "mean_squared_error",
        metrics=["mae", keras.metrics.MeanAbsolutePercentageError(name="mape")],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    return learner


def trained(learner, tasks=None, num_tasks=5, **options):
    """Weights, optimizer state and metrics after a short training with validation."""
    options = {"batch_size": num_tasks, "steps_per_epoch": 3, "validation_steps": 2, **options}
    tasks = tasks or Sinusoids(5, 5)
    history = learner.fit(tasks, epochs=2, validation_data=tasks, verbose=0, **options).history
    state = [np.ravel(v.numpy()) for v in (*learner.variables, *learner.optimizer.variables)]
    return {"state": np.concatenate(state), **{k: np.array(v) for k, v in history.items()}}


def differences(found, expected):
    """The norm of the difference of each entry, relative to that of the expected one."""
    assert found.keys() == expected.keys()
    return {
        name: float(np.linalg.norm(found[name] - y) / np.linalg.norm(y))
        for name, y in expected.items()
    }


def compare(counts, num_tasks=5, **options):
    """The largest difference between replicas and one device, for each number of replicas."""
    expected = trained(regression_learner(0, **options), num_tasks=num_tasks)
    return {
        str(n): max(
            differences(
                trained(regression_learner(n, **options), num_tasks=num_tasks), expected
            ).values()
        )
        for n in counts
    }


@case
def four():
    return compare([4])


@case
def one_and_two():
    found = compare([1, 2])
    keras.utils.set_random_seed(1)
    with tf.distribute.OneDeviceStrategy("CPU:1").scope():
        learner = regression_learner(0)
    return found | differences(trained(learner), trained(regression_learner(0)))


@case
def float32_with_xla():
    return compare([2], dtype="float32", jit_compile=True)


@case
def fewer_tasks_than_replicas():
    return compare([4], num_tasks=3) | compare([2], num_tasks=1)


@case
def loop_of_steps():
    return compare([2], steps_per_execution=3)


@case
def chunks_of_tasks():
    return compare([2], task_chunk=2)


@case
def first_order_with_redrawn_masks():
    return compare([2], num_inner_steps=2, first_order=True, redraw_masks=True)


@case
def arrays_whose_last_batch_is_smaller():
    episode = Sinusoids(5, 5).sample(tf.constant([0, 1]), 7)
    arrays = {n: v.numpy() for n, v in episode._asdict().items() if v is not None}
    found = {}
    for count in (0, 2):
        learner = regression_learner(count)
        # Keras' methods may be called inside the scope, too.
        with learner._replicas.strategy.scope() if count else contextlib.nullcontext():
            found[count] = trained(learner, arrays, steps_per_epoch=None, validation_steps=None)
            found[count]["evaluate"] = np.array(learner.evaluate(arrays, verbose=0))
            found[count]["predict"] = learner.predict(np.ones([3, 1]), verbose=0)
            found[count]["one batch"] = np.array(learner.train_on_batch(arrays))
    return differences(found[2], found[0])


def image_tasks(in_graph):
    images = np.random.default_rng(0).integers(0, 256, [60, 28, 28, 1], np.uint8)
    sizes = {"num_ways": 3, "num_shots": 1, "num_queries": 2}
    return ImageClasses(images, [6] * 10, in_graph=in_graph, rotations=True, **sizes)


def image_learner(count, method, tasks):
    options = {"data_source": "omniglot", "num_ways": 3, "num_shots": 1, "num_filters": 4}
    keras.utils.set_random_seed(1)
    keras.config.set_floatx("float64")
    with scope_of(count):
        learner = build_learner(resolve({**options, "method": method, "jit_compile": False}), tasks)
    keras.config.set_floatx("float32")
    return learner


def compare_images(method, in_graph=True):
    tasks = image_tasks(in_graph)
    found = [trained(image_learner(count, method, tasks), tasks, num_tasks=3) for count in (0, 2)]
    return differences(found[1], found[0])


@case
def images_on_another_device():
    return compare_images("mtnet")


@case
def images_read_ahead():
    return compare_images("mtnet", in_graph=False)


@case
def metric_method():
    return compare_images("matching")


@case
def learned_update_rule():
    return compare_images("metasgd")


@case
def saved_and_continued_with_other_devices():
    expected = regression_learner(0)
    trained(expected)
    expected = trained(expected)
    found = {}
    for before, after in ((2, 0), (0, 2)):
        learner = regression_learner(before)
        trained(learner)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "learner.keras"
            learner.save(path)
            with scope_of(after):
                learner = keras.saving.load_model(path)
        learner.compile(
            learner.optimizer,
            "mean_squared_error",
            metrics=["mae", keras.metrics.MeanAbsolutePercentageError(name="mape")],
            jit_compile=False,
        )
        found[f"{before} to {after}"] = max(differences(trained(learner), expected).values())
    return found


@case
def evaluation():
    tasks, scores = Sinusoids(5, 5), []
    for count in (0, 2, 4):
        found = evaluate(regression_learner(count), tasks, num_episodes=7, num_inner_steps=2)
        assert len(set(found.fingerprints)) == 7
        scores.append({"queries": found.query_loss, "supports": found.support_loss})
    return {str(n): max(differences(scores[i], scores[0]).values()) for i, n in ((1, 2), (2, 4))}


@case
def adaptation():
    found = []
    x, y = np.linspace(-1, 1, 5)[:, None], np.linspace(0, 1, 5)[:, None]
    for count in (0, 2):
        learner = regression_learner(count)
        trained(learner)
        found.append({"predictions": learner.adapt(x, y).predict(x, verbose=0)})
        with tempfile.TemporaryDirectory() as folder:
            loaded = tf.saved_model.load(str(learner.export(Path(folder) / "1")))
            sets = {"support_x": x, "support_y": y, "query_x": x}
            sets = {name: tf.constant(values[None]) for name, values in sets.items()}
            outputs = loaded.signatures["adapt_and_predict"](**sets)
            found[-1]["export"] = np.concatenate([np.ravel(v) for v in tf.nest.flatten(outputs)])
    return differences(found[1], found[0])


@case
def unsuitable():
    """The messages of what cannot be distributed."""
    messages = {}

    def record(name, function):
        try:
            function()
        except ValueError as error:
            messages[name] = str(error)

    model = regression_network(dim_hidden=(4,))
    with mirrored(2).scope():
        record("model outside", lambda: MetaLearner(model, 0.1))
        inside = MetaLearner(regression_network(dim_hidden=(4,)), 0.1)
    accumulating = keras.optimizers.Adam(gradient_accumulation_steps=2)
    record("accumulation", lambda: inside.compile(accumulating, "mean_squared_error"))
    with tf.distribute.experimental.CentralStorageStrategy().scope():
        record("strategy", lambda: MetaLearner(regression_network(dim_hidden=(4,)), 0.1))
    return messages


def main(names):
    device = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * NUM_DEVICES
    tf.config.set_logical_device_configuration(device, logical)
    sys.stdout.write(json.dumps({name: CASES[name]() for name in names}))


if __name__ == "__main__":
    main(sys.argv[1:] or list(CASES))
