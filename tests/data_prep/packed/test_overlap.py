import numpy as np
import pytest

from data_prep import DataError, find_overlap, load_packed, write_packed

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), np.uint8)


@pytest.fixture
def pack(tmp_path):
    """Function: (name, class names, two images of each) -> `PackedImages`."""

    def make(name, class_names, images):
        write_packed(
            tmp_path / name,
            images,
            class_names=class_names,
            file_names=[["a.png", "b.png"] for _ in class_names],
            image_shape=images.shape[1:],
            dataset=name,
        )
        return load_packed(tmp_path / name)

    return make


def test_separate_splits_have_nothing_in_common(pack):
    packed = pack("pets", ["cat", "dog", "emu"], IMAGES)
    overlap = find_overlap({"train": (packed, [0, 2]), "test": (packed, [1])})
    assert (overlap.classes, overlap.across, overlap.within) == ((), (), ())
    assert not overlap.leaks
    assert overlap.lines() == []


def test_a_class_in_two_splits_is_a_leak(pack):
    packed = pack("pets", ["cat", "dog", "emu"], IMAGES)
    overlap = find_overlap({"train": (packed, [0, 1]), "test": (packed, [1, 2])})
    assert overlap.classes == (("dog", "train", "test"),)
    assert overlap.leaks
    assert "dog (train, test)" in overlap.lines()[0]


def test_classes_of_the_same_name_in_two_data_sets_are_found(pack):
    train, test = pack("a", ["cat"], IMAGES[:2]), pack("b", ["cat"], IMAGES[2:4])
    overlap = find_overlap({"train": (train, [0]), "test": (test, [0])})
    assert overlap.classes == (("cat", "train", "test"),)


def test_equal_images_are_named_across_and_within_splits(pack):
    images = IMAGES.copy()
    images[3] = images[2]  # within dog
    images[5] = images[0]  # cat and emu
    packed = pack("pets", ["cat", "dog", "emu"], images)
    overlap = find_overlap({"train": (packed, [0, 1]), "test": (packed, [2])})
    assert overlap.within == (("train", "dog/a.png", "train", "dog/b.png"),)
    assert overlap.across == (("train", "cat/a.png", "test", "emu/b.png"),)
    assert overlap.leaks
    assert "emu/b.png (test) = cat/a.png (train)" in overlap.lines()[0]


def test_duplicates_within_a_split_are_not_a_leak(pack):
    packed = pack("pets", ["cat", "dog"], np.concatenate([IMAGES[:2], IMAGES[:2]]))
    overlap = find_overlap({"train": (packed, [0, 1])})
    assert len(overlap.within) == 2
    assert not overlap.leaks


def test_images_with_equal_bytes_and_another_shape_are_different(pack):
    flat = pack("a", ["cat"], np.zeros((2, 2, 8, 1), np.uint8))
    tall = pack("b", ["dog"], np.zeros((2, 8, 2, 1), np.uint8))
    assert find_overlap({"train": (flat, [0]), "test": (tall, [0])}).across == ()


def test_class_numbers_that_do_not_exist_are_rejected(pack):
    packed = pack("pets", ["cat"], IMAGES[:2])
    with pytest.raises(DataError, match="test split must be from 0 to 0. Received: 4"):
        find_overlap({"test": (packed, [4])})
