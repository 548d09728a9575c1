import numpy as np
import pytest

from data_prep import (
    DataError,
    ensure_miniimagenet,
    load_packed,
    prepare_synthetic_miniimagenet,
)
from data_prep.miniimagenet.synthetic import draw_texture


def nearest_neighbour_accuracy(images, num_episodes=300, num_ways=5):
    """Accuracy of the nearest support image; images [num_classes, n, num_features]."""
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(num_episodes):
        classes = rng.choice(len(images), num_ways, replace=False)
        numbers = np.stack([rng.choice(images.shape[1], 2, replace=False) for _ in classes])
        support, query = images[classes, numbers[:, 0]], images[classes, numbers[:, 1]]
        distances = np.square(query[:, None] - support[None]).sum(axis=-1)
        right += (distances.argmin(axis=1) == np.arange(num_ways)).sum()
    return right / (num_episodes * num_ways)


def test_an_image_depends_on_seed_class_and_number_alone():
    np.testing.assert_array_equal(draw_texture(3, 5, 7), draw_texture(3, 5, 7))
    for other in ((4, 5, 7), (3, 6, 7), (3, 5, 8)):
        assert (draw_texture(3, 5, 7) != draw_texture(*other)).mean() > 0.5


def test_images_are_84_by_84_in_colour():
    pixels = draw_texture(0, 0, 1)
    assert (pixels.shape, pixels.dtype) == ((84, 84, 3), np.uint8)
    assert (pixels[..., 0] != pixels[..., 1]).any()


def test_classes_are_neither_trivial_nor_impossible_to_tell_apart():
    images = np.array([[draw_texture(0, k, n)[::3, ::3] for n in range(8)] for k in range(40)])
    images = images.astype(np.float32) / 255
    # Chance is 0.2. Neither the pixels nor the mean colour settle it.
    assert 0.3 < nearest_neighbour_accuracy(images.reshape(40, 8, -1)) < 0.6
    assert 0.3 < nearest_neighbour_accuracy(images.mean(axis=(2, 3))) < 0.6


def test_synthetic_images_have_the_layout_of_miniimagenet(tmp_path):
    folder = prepare_synthetic_miniimagenet(tmp_path, (2, 1, 1), per_class=3, seed=4)
    assert (
        folder == tmp_path / "miniImagenet_synthetic_packed" == ensure_miniimagenet(tmp_path, True)
    )
    train = load_packed(folder / "train", verify=True)
    assert train.class_names == ("s00000000", "s00000001")
    assert (train.synthetic, train.details["seed"]) == (True, 4)
    assert load_packed(folder / "test").class_names == ("s00000003",)
    files = (tmp_path / "miniImagenet_synthetic").glob("*/*/*.jpg")
    assert len(list(files)) == 12
    # JPEG changes little.
    drawn = draw_texture(4, 1, 2).astype(int)
    assert np.abs(train.images[4] - drawn).mean() < 12


def test_a_class_does_not_depend_on_the_number_of_classes(tmp_path):
    few = load_packed(prepare_synthetic_miniimagenet(tmp_path / "a", (1, 1, 1), 2) / "val")
    many = load_packed(prepare_synthetic_miniimagenet(tmp_path / "b", (2, 1, 1), 3) / "train")
    assert few.class_names[0] == many.class_names[1]
    np.testing.assert_array_equal(few.images, many.images[3:5])


@pytest.mark.parametrize("changed", [{"per_class": 3}, {"seed": 1}, {"num_classes": (1, 1, 2)}])
def test_other_settings_require_force(tmp_path, changed):
    options = {"num_classes": (1, 1, 1), "per_class": 2}
    prepare_synthetic_miniimagenet(tmp_path, **options)
    with pytest.raises(DataError, match="`force=True`"):
        prepare_synthetic_miniimagenet(tmp_path, **{**options, **changed})


@pytest.mark.parametrize(
    "bad", [{"num_classes": (1, 0, 1)}, {"per_class": 0}, {"seed": -1}, {"workers": 0}]
)
def test_impossible_settings_are_rejected(tmp_path, bad):
    with pytest.raises(DataError, match=f"Received: .*{next(iter(bad))}="):
        prepare_synthetic_miniimagenet(tmp_path, **bad)
