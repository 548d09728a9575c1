import itertools

import numpy as np
import pytest

from data_prep import DataError, load_packed, prepare_synthetic_omniglot
from data_prep.omniglot.synthetic import _alphabet_size, draw_alphabets


def pixels(num_classes, seed):
    return np.stack([np.asarray(drawing.image) for drawing in draw_alphabets(num_classes, seed)])


def nearest_neighbour_accuracy(images, num_episodes=300, num_ways=5):
    """Accuracy of the nearest support image; images [num_classes, 20, num_pixels]."""
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(num_episodes):
        classes = rng.choice(len(images), num_ways, replace=False)
        drawings = np.stack([rng.choice(20, 2, replace=False) for _ in classes])
        support, query = images[classes, drawings[:, 0]], images[classes, drawings[:, 1]]
        distances = np.square(query[:, None] - support[None]).sum(axis=-1)
        right += (distances.argmin(axis=1) == np.arange(num_ways)).sum()
    return right / (num_episodes * num_ways)


def test_the_same_seed_gives_the_same_drawings():
    np.testing.assert_array_equal(pixels(3, seed=5), pixels(3, seed=5))
    assert (pixels(3, seed=5) != pixels(3, seed=6)).any()


def test_a_class_does_not_depend_on_the_number_of_classes():
    np.testing.assert_array_equal(pixels(2, seed=1), pixels(6, seed=1)[:40])


def test_drawings_resemble_those_of_omniglot():
    drawings = list(draw_alphabets(30, 0))
    assert {(drawing.image.mode, drawing.image.size) for drawing in drawings} == {("1", (105, 105))}
    paper = pixels(30, 0)
    assert 0.04 < 1 - paper.mean() < 0.12  # Omniglot has 0.08 of ink
    assert (~paper).any(axis=(1, 2)).all()


def test_no_two_drawings_are_equal():
    paper = pixels(50, 0)
    assert len(np.unique(paper.reshape(len(paper), -1), axis=0)) == len(paper)


def test_the_default_alphabets_match_omniglot_s_counts():
    sizes = [_alphabet_size(alphabet) for alphabet in range(1, 51)]
    assert sum(sizes) == 1623
    assert (min(sizes), max(sizes)) == (14, 55)


def test_names_follow_omniglot_s_layout():
    names = [(d.class_name, d.file_name) for d in itertools.islice(draw_alphabets(40, 0), 800)]
    assert names[0] == ("Synthetic_Alphabet_01/character01", "0001_01.png")
    assert names[_alphabet_size(1) * 20] == ("Synthetic_Alphabet_02/character01", "0021_01.png")


def test_prepared_images_are_marked_as_synthetic(tmp_path):
    folder = prepare_synthetic_omniglot(tmp_path, num_classes=22, seed=4)
    packed = load_packed(folder, verify=True)
    assert folder == tmp_path / "omniglot_synthetic_packed"
    assert (packed.dataset, packed.synthetic) == ("omniglot_synthetic", True)
    assert packed.details["seed"] == 4
    assert packed.counts.tolist() == [20] * 22
    assert packed.images.shape == (440, 28, 28, 1)
    assert np.unique(packed.images).tolist() == [0, 255]
    assert len(list((tmp_path / "omniglot_synthetic_resized").glob("*/*/*.png"))) == 440
    assert not (tmp_path / "omniglot_packed").exists()


@pytest.mark.parametrize("changed", [{"num_classes": 2}, {"seed": 1}])
def test_other_settings_require_force(tmp_path, changed):
    prepare_synthetic_omniglot(tmp_path, num_classes=3)
    with pytest.raises(DataError, match="`force=True`"):
        prepare_synthetic_omniglot(tmp_path, **{"num_classes": 3, **changed})


@pytest.mark.parametrize("bad", [{"num_classes": 0}, {"seed": -1}])
def test_impossible_settings_are_rejected(tmp_path, bad):
    with pytest.raises(DataError, match=f"Received: {next(iter(bad))}="):
        prepare_synthetic_omniglot(tmp_path, **bad)


def test_classes_are_neither_trivial_nor_impossible_to_tell_apart(tmp_path):
    packed = load_packed(prepare_synthetic_omniglot(tmp_path, num_classes=100))
    images = packed.images.reshape(100, 20, -1) / 255.0
    # Chance is 0.2; pixels alone give 0.38 on the real Omniglot.
    assert 0.4 < nearest_neighbour_accuracy(images) < 0.85
