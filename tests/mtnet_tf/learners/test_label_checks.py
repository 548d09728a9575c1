"""Labels are checked on the host before a compiled program turns them into NaN."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import Episode, FewShotCrossentropy, MetaLearner, evaluate
from mtnet_tf.layers import TWDense
from mtnet_tf.tasks import TaskDistribution

LABELS = np.tile([0, 1, 2], (4, 1))  # four tasks of three examples
TOO_LARGE = "`support_y` must be class numbers from 0 to 2, .* Received: 1, 2, 3. Subtract 1."


class Blobs(TaskDistribution):
    """A user's distribution, with labels from `first` on."""

    num_shots = num_queries = 1

    def __init__(self, first, in_graph=True):
        self.first, self.in_graph = first, in_graph

    def sample(self, seed, num_tasks):
        x = tf.random.stateless_normal([num_tasks, 3, 4], seed)
        y = tf.tile(tf.range(3)[None] + self.first, [num_tasks, 1])
        return Episode(x, y, x, y)


class Batches(keras.utils.PyDataset):
    """Batches of two tasks."""

    def __init__(self, episodes):
        super().__init__()
        self.episodes = episodes

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return tf.nest.map_structure(lambda a: a[2 * index : 2 * index + 2], self.episodes)


def episodes(first=0, second=None):
    """Arrays of four tasks, whose labels start at `first`; those of the last two at `second`."""
    x = np.random.default_rng(0).normal(size=(4, 3, 4)).astype("float32")
    y = LABELS + np.array([[first]] * 2 + [[first if second is None else second]] * 2)
    return (x, y), (x, y)


def dataset(*firsts):
    return tf.data.Dataset.from_tensor_slices(episodes(*firsts)).batch(2)


SOURCES = {
    "arrays": episodes,
    "generator": lambda first: iter([episodes(first)] * 2),
    "dataset": dataset,
    "PyDataset": lambda first: Batches(episodes(first)),
    "distribution": Blobs,
    "distribution ahead of the step": lambda first: Blobs(first, in_graph=False),
}


def new_learner(outputs=3, loss=None, **options):
    model = keras.Sequential([keras.Input((4,)), TWDense(outputs, mask=None)])
    learner = MetaLearner(model, step_size=0.1)
    learner.compile("sgd", loss or FewShotCrossentropy(1), **{"jit_compile": False, **options})
    return learner


@pytest.mark.parametrize("source", SOURCES)
def test_labels_are_checked_in_every_kind_of_stream(source):
    make, learner = SOURCES[source], new_learner(run_eagerly=True)
    sampled = {"batch_size": 2, "verbose": 0}
    options = {"steps_per_epoch": 2, "validation_steps": 2, **sampled}
    with pytest.raises(ValueError, match=TOO_LARGE):
        learner.fit(make(1), steps_per_epoch=2, **sampled)
    with pytest.raises(ValueError, match=TOO_LARGE):
        learner.evaluate(make(1), steps=2, **sampled)
    with pytest.raises(ValueError, match=TOO_LARGE):
        learner.fit(make(0), validation_data=make(1), **options)
    history = learner.fit(make(0), validation_data=make(0), **options).history
    assert np.isfinite(history["val_loss"]).all()


def test_batches_given_one_by_one_are_checked():
    learner = new_learner(run_eagerly=True)
    for method in (learner.train_on_batch, learner.test_on_batch):
        assert np.isfinite(method(episodes(0))).all()
        with pytest.raises(ValueError, match=TOO_LARGE):
            method(episodes(1))


def test_the_check_survives_xla_and_programs_of_several_steps():
    learner = new_learner(jit_compile=True, steps_per_execution=2)
    with pytest.raises(ValueError, match=TOO_LARGE):
        learner.fit(dataset(1), verbose=0)
    with pytest.raises(ValueError, match=TOO_LARGE):
        learner.fit(Blobs(1), batch_size=2, steps_per_epoch=2, verbose=0)


def test_with_debug_every_batch_is_checked():
    new_learner(jit_compile=True).fit(dataset(0, 1), verbose=0)
    learner = new_learner(jit_compile=True, debug=True)
    assert not learner.jit_compile
    with pytest.raises(ValueError, match=TOO_LARGE):
        learner.fit(dataset(0, 1), verbose=0)
    learner.fit(dataset(0, 0), verbose=0)
    eager = new_learner(run_eagerly=True, debug=True)
    with pytest.raises(ValueError, match=TOO_LARGE):
        eager.fit(dataset(0, 1), verbose=0)


def test_another_error_of_tensorflow_stays_what_it_is():
    broken = dataset(0).map(lambda s, q: (s, (tf.debugging.check_numerics(q[0] / 0, "bad"), q[1])))
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad"):
        new_learner(run_eagerly=True).fit(broken, verbose=0)


def test_no_batch_is_requested_earlier_or_twice():
    requested = []

    def batches():
        for number in range(2):
            requested.append(number)
            yield episodes(0)

    once = batches()
    specs = tf.nest.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), episodes(0))
    stream = tf.data.Dataset.from_generator(lambda: once, output_signature=specs)
    new_learner(run_eagerly=True).fit(stream, steps_per_epoch=2, verbose=0)
    assert requested == [0, 1]


def test_a_stream_is_in_the_same_order_with_the_check(monkeypatch):
    def losses():
        keras.utils.set_random_seed(1)
        stream = dataset(0).shuffle(4, seed=3)
        learner = new_learner(run_eagerly=True)
        return learner.fit(stream, epochs=3, validation_data=dataset(0), verbose=0).history

    with_check = losses()
    monkeypatch.setattr(
        "mtnet_tf.learners.label_checks.LabelChecks.stream", lambda self, x, stream, *rest: stream
    )
    assert losses() == with_check


def test_another_loss_is_checked_again():
    tasks = Blobs(1)
    learner = new_learner(4, run_eagerly=True)
    learner.evaluate(tasks, batch_size=2, steps=1, verbose=0)
    learner.compile("sgd", "binary_crossentropy", run_eagerly=True)
    with pytest.raises(ValueError, match="`support_y` must be 0 and 1"):
        learner.evaluate(tasks, batch_size=2, steps=1, verbose=0)


def test_targets_that_are_not_finite_are_rejected():
    (x, _), _ = episodes()
    targets = np.full([4, 3, 1], np.nan, "float32")
    with pytest.raises(ValueError, match="`query_y` must be finite. Received: 12 of 12"):
        new_learner(1, "mse").fit(((x, np.ones_like(targets)), (x, targets)), verbose=0)


def test_the_evaluator_checks_its_first_episodes():
    with pytest.raises(ValueError, match=TOO_LARGE):
        evaluate(new_learner(), Blobs(1), num_episodes=20, num_inner_steps=1, verbose=0)


def absolute(labels, predictions):
    return tf.abs(labels - predictions)


def absolute_of_squeezed(labels, predictions):
    return tf.abs(labels - predictions[:, 0])


@pytest.mark.parametrize(
    ("function", "run_eagerly"), [(absolute, False), (absolute_of_squeezed, True)]
)
def test_metrics_compare_each_prediction_with_its_own_label(function, run_eagerly):
    (x, _), _ = episodes()
    y = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    learner = new_learner(1, "mse", metrics=["mae", function], run_eagerly=run_eagerly)
    found = learner.evaluate(((x, y), (x, y)), return_dict=True, verbose=0)
    tasks = zip(x, y, strict=True)
    errors = [
        np.abs(learner.adapt(*task).predict(task[0], verbose=0)[:, 0] - task[1]) for task in tasks
    ]
    for name in ("mae", function.__name__):
        assert found[name] == pytest.approx(np.mean(errors), rel=1e-5)


def test_metrics_of_different_ranks_are_rejected():
    (x, _), _ = episodes()
    y = np.zeros([4, 3], "float32")
    learner = new_learner(1, "mse", metrics=[absolute, absolute_of_squeezed])
    with pytest.raises(ValueError, match="`metrics` must compare each prediction with its own"):
        learner.evaluate(((x, y), (x, y)), verbose=0)
