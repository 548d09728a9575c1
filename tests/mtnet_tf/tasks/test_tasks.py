import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf.tasks import ImageClasses, Polynomials, Sinusoids, split_classes
from mtnet_tf.tasks.image_classes import rotate

SEED = tf.constant([3, 4])


def image_tasks(num_classes=10, per_class=6, counts=None, **options):
    """Images that identify themselves: pixel 0 is the class, pixel 1 the number within it."""
    counts = [per_class] * num_classes if counts is None else counts
    images = np.zeros((sum(counts), 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.repeat(np.arange(len(counts)), counts)
    images[:, 0, 1, 0] = np.concatenate([np.arange(c) for c in counts])
    options = {"num_ways": 3, "num_shots": 2, "num_queries": 3, **options}
    return ImageClasses(images, counts, **options)


def identify(x):
    x = np.rint(np.asarray(x) * 255).astype(int)
    return x[..., 0, 0, 0], x[..., 0, 1, 0]


def test_image_episode_has_distinct_classes_and_disjoint_sets():
    episode = image_tasks().sample(SEED, 50)
    assert episode.support_x.shape == (50, 6, 2, 2, 1)
    assert episode.query_x.shape == (50, 9, 2, 2, 1)
    classes, numbers = (np.concatenate(p, 1) for p in zip(
        identify(episode.support_x), identify(episode.query_x), strict=True))  # fmt: skip
    labels = np.concatenate([episode.support_y, episode.query_y], 1)
    for task in range(50):
        found = {label: set(classes[task][labels[task] == label]) for label in range(3)}
        assert all(len(members) == 1 for members in found.values())
        assert len(set.union(*found.values())) == 3
        assert len(set(zip(classes[task], numbers[task], strict=True))) == 15


def test_labels_are_shuffled_and_every_image_is_drawn():
    episode = image_tasks().sample(SEED, 500)
    classes, numbers = identify(episode.support_x)
    assert len(set(zip(classes.ravel(), numbers.ravel(), strict=True))) == 60
    first = classes[:, 0]  # label 0
    assert np.bincount(first, minlength=10).min() > 20


def test_classes_of_unequal_size_give_only_their_own_images():
    counts = [5, 9, 6, 7]
    episode = image_tasks(counts=counts).sample(SEED, 200)
    classes, numbers = identify(episode.query_x)
    assert np.all(numbers < np.array(counts)[classes])
    assert {(c, n) for c, n in zip(classes.ravel(), numbers.ravel(), strict=True)} == {
        (c, n) for c, count in enumerate(counts) for n in range(count)
    }


@pytest.mark.parametrize("in_graph", [True, False])
def test_only_the_chosen_classes_are_sampled(in_graph):
    images = np.repeat(np.arange(5, dtype=np.uint8), 4)[:, None, None, None]
    options = {"num_ways": 2, "num_shots": 1, "num_queries": 1, "in_graph": in_graph}
    episode = ImageClasses(images, [4] * 5, classes=[1, 3], **options).sample(SEED, 20)
    x = episode.support_x.numpy()
    assert set(np.unique(np.rint(x * 255))) == {1.0, 3.0}
    np.testing.assert_array_equal(episode.classes, np.rint(x * 255)[..., 0, 0, 0])


def test_sampling_in_graph_and_from_a_mapped_file_gives_the_same_episodes(tmp_path, rng):
    images = rng.integers(0, 256, (40, 5, 5, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    options = {"num_ways": 4, "num_shots": 1, "num_queries": 2, "rotations": True}
    options["classes"] = [0, 2, 3, 5, 7]
    inside = ImageClasses(images, [5] * 8, in_graph=True, **options).sample(SEED, 6)
    ahead = ImageClasses(mapped, [5] * 8, in_graph=False, **options).sample(SEED, 6)
    for ours, theirs in zip(inside, ahead, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_rotation_is_one_quarter_turn_per_class_and_task():
    images = np.zeros((8, 2, 2, 1), np.uint8)
    images[:, 0, 0] = 255  # the bright corner identifies the rotation
    tasks = ImageClasses(images, [4, 4], num_ways=2, num_shots=2, num_queries=2, rotations=True)
    episode = tasks.sample(SEED, 200)
    x = np.concatenate([episode.support_x, episode.query_x], 1).reshape(200, 8, 4)
    turns = x.argmax(-1).reshape(200, 4, 2)
    assert np.all(turns == turns[:, :1])
    assert np.bincount(turns[:, 0].ravel(), minlength=4).min() > 60


def test_rotate_is_numpy_rot90(rng):
    x = rng.random((4, 3, 3, 2))
    turned = rotate(tf.constant(x), tf.range(4))
    for k in range(4):
        np.testing.assert_array_equal(turned[k], np.rot90(x[k], k))


@pytest.mark.parametrize("tasks", [image_tasks(), Sinusoids(), Polynomials(2)])
def test_episodes_depend_on_the_seed_alone(tasks):
    compiled = tf.function(lambda seed: tasks.sample(seed, 3), jit_compile=True, autograph=False)
    for ours, again in zip(tasks.sample(SEED, 3)[:4], compiled(SEED)[:4], strict=True):
        np.testing.assert_allclose(ours, again, atol=2e-6)
    other = tasks.sample(tf.constant([3, 5]), 3)
    assert np.any(other.support_x.numpy() != tasks.sample(SEED, 3).support_x.numpy())


def test_sinusoids_have_the_phase_of_the_authors_code():
    oracle = Sinusoids(num_shots=7, num_queries=4, oracle=True).sample(SEED, 200)
    x, amplitude, phase = np.moveaxis(oracle.support_x.numpy().astype(float), -1, 0)
    y = oracle.support_y.numpy()[..., 0]
    assert x.shape == (200, 7) and oracle.query_x.shape == (200, 4, 3)
    assert amplitude.min() >= 0.1 and amplitude.max() <= 5.0
    assert phase.min() >= 0 and phase.max() <= np.pi
    assert np.abs(x).max() <= 5
    frequencies = np.linspace(0.8, 1.2, 4001)[:, None]
    for task in range(20):
        wave = amplitude[task] * np.sin(frequencies * x[task] - phase[task])
        assert np.abs(wave - y[task]).max(1).min() < 5e-3


def test_sinusoids_of_the_paper_have_the_opposite_phase():
    x, amplitude, phase = np.moveaxis(
        Sinusoids(task_definition="paper", oracle=True).sample(SEED, 20).support_x.numpy(), -1, 0
    )
    y = Sinusoids(task_definition="paper").sample(SEED, 20).support_y.numpy()[..., 0]
    frequencies = np.linspace(0.8, 1.2, 4001)[:, None]
    for task in range(20):
        wave = amplitude[task] * np.sin(frequencies * x[task] + phase[task])
        assert np.abs(wave - y[task]).max(1).min() < 5e-3


@pytest.mark.parametrize(
    ("definition", "bounds"), [("original", [1, 0.5, 0.25]), ("paper", [1, 1, 1])]
)
def test_polynomials_have_the_coefficients_of_their_definition(definition, bounds):
    episode = Polynomials(2, task_definition=definition).sample(SEED, 300)
    assert np.abs(episode.support_x).max() <= 2
    fits = [
        np.polynomial.polynomial.polyfit(x[:, 0], y[:, 0], 2)
        for x, y in zip(episode.support_x.numpy(), episode.support_y.numpy(), strict=True)
    ]
    np.testing.assert_allclose(np.abs(fits).max(0), bounds, rtol=0.05)


def test_split_is_disjoint_and_complete_and_has_the_published_sizes():
    split = split_classes(1623)
    assert [len(part) for part in split] == [1100, 100, 423]
    assert sorted(np.concatenate(split)) == list(range(1623))
    swapped = split_classes(1623, class_split="original")
    np.testing.assert_array_equal(swapped.test, split.val)
    np.testing.assert_array_equal(swapped.train, split.train)
    assert [len(part) for part in split_classes(60)] == [41, 3, 16]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: image_tasks(num_ways=11), "`num_ways` must not exceed .* 10"),
        (lambda: image_tasks(num_shots=4), "Every class must have .* = 7 .* a class of 6"),
        (lambda: ImageClasses(np.zeros((3, 2, 2, 1), np.uint8), [2], num_ways=1, num_shots=1,
                              num_queries=1), "sum of `counts`"),
        (lambda: ImageClasses(np.zeros((4, 2, 3, 1), np.uint8), [4], num_ways=1, num_shots=1,
                              num_queries=1, rotations=True), "requires square images"),
        (lambda: Sinusoids(task_definition="mine"), "`task_definition` must be one of"),
        (lambda: Sinusoids(num_shots=0), "must be positive"),
        (lambda: Polynomials(-1), "`order` must not be negative"),
        (lambda: split_classes(9, class_split="mine"), "`class_split` must be"),
    ],
)  # fmt: skip
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
