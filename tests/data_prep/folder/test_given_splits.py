"""Splits of a user's folder, under the names that people give to them."""

import re

import pytest

from data_prep import DataError, load_packed, prepare_folder
from support.archives import write_folder
from support.jpegs import encode, photo

SPLITS = ("train", "val", "test")


def images(*classes):
    """Two images for each class, named by its path."""
    return {
        f"{name}/{number}.PNG": encode(photo(10 * k + number, (9, 7)), "PNG")
        for k, name in enumerate(classes)
        for number in range(2)
    }


def prepare(tmp_path, *classes, files=None, **options):
    write_folder(tmp_path / "pets", {**images(*classes), **(files or {})})
    packed = prepare_folder(tmp_path / "pets", tmp_path / "cache", 8, **options)
    return {split: load_packed(packed / split) for split in SPLITS}


def names_of(packed):
    return [packed[split].class_names for split in SPLITS]


@pytest.mark.parametrize(
    "folders",
    [
        ("Train", "Val", "Test"),
        ("training", "validation", "testing"),
        ("TRAIN", "valid", "TEST"),
        ("images_background", "images_dev", "images_evaluation"),
        ("meta-train", "meta-val", "meta-test"),
        ("pets-main/Train", "pets-main/Val", "pets-main/Test"),
        ("a/b/train", "a/b/eval", "a/b/test"),
    ],
)
def test_split_folders_of_usual_names_are_kept(folders, tmp_path):
    train, val, test = folders
    packed = prepare(tmp_path, f"{train}/cat", f"{train}/dog", f"{val}/emu", f"{test}/wild/fox")
    assert names_of(packed) == [("cat", "dog"), ("emu",), ("wild/fox",)]
    assert all(part.details["split_given"] for part in packed.values())


def test_files_of_the_system_and_other_files_next_to_the_splits_do_not_matter(tmp_path):
    junk = [".DS_Store", "__MACOSX/Train/._0.png", ".hidden/x/0.png", "Train/Thumbs.db"]
    junk += ["README.md", "annotations/labels.csv", "Val/emu/Thumbs.db"]
    packed = prepare(tmp_path, "Train/cat", "Val/emu", "Test/fox", files=dict.fromkeys(junk, b"x"))
    assert names_of(packed) == [("cat",), ("emu",), ("fox",)]


def test_linked_split_folders_are_followed(tmp_path):
    for split in ("Train", "Val", "Test"):
        write_folder(tmp_path / f"elsewhere {split}", images(f"class of {split}"))
        (tmp_path / "pets").mkdir(exist_ok=True)
        (tmp_path / "pets" / split).symlink_to(tmp_path / f"elsewhere {split}")
    assert names_of(prepare(tmp_path)) == [
        ("class of Train",),
        ("class of Val",),
        ("class of Test",),
    ]


@pytest.mark.parametrize(
    "classes",
    [
        ("train", "car", "bus"),  # vehicles
        ("train", "car", "bus/red", "bus/green"),
        ("test", "blank", "control"),
        ("base", "acid", "salt"),
        ("background/a", "foreground/b", "noise/c"),
        ("Greek/character01", "Greek/character02", "Latin/character01", "Latin/character02"),
        ("animals/cat", "animals/other", "cars/suv", "cars/other"),
        ("pets/cat", "pets/dog", "pets/emu"),
        ("2019/7", "2020/7", "2021/7"),
        ("Cat", "cat", "CAT"),
    ],
)
def test_folders_of_classes_are_not_splits(classes, tmp_path):
    packed = prepare(tmp_path, *classes)
    assert sorted(sum(names_of(packed), ())) == sorted(classes)
    assert not packed["test"].details["split_given"]


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (("train/a", "train/b", "holdout/c"), "Received: holdout, train. It is not clear which"),
        (("train/a", "train/b", "test/c"), "Received: test, train. There is no val:"),
        (("train/a", "train/b", "val/c"), "Received: train, val. There is no test:"),
        (("train/a", "train/b", "train/c"), "Received: train. There is no val and test:"),
        (("train/a", "Train/b", "val/c", "test/d"), "Train and train seem to be the same split"),
        (("train/a", "val/b", "validation/c", "test/d"), "val and validation seem to be the same"),
        (("train/a", "val/b", "test/c", "unlabeled/d"), "unlabeled cannot be assigned to a split"),
        (
            ("fold1/a", "fold1/b", "fold2/c", "fold3/d"),
            "fold1, fold2, fold3. Rename those that are",
        ),
        (("fold_1", "fold_2", "fold_3"), "Rename those that are splits"),
        (("train", "val", "test"), "Move them into a folder for each class"),
        (("train", "test", "cat", "dog"), "Move them into a folder for each class"),
        (
            ("a/train", "a/test", "b/train", "b/test", "c/train"),
            "Received: a, b, c. They contain test, train, but each split has classes of its own",
        ),
        (
            ("north/cat", "north/dog", "south/cat", "south/dog"),
            "Received: north, south. They contain classes of the same names .cat, dog.",
        ),
        (("pets/train/a", "pets/test/b"), r"pets/pets` must .*Received: test, train"),
    ],
)
def test_folders_that_seem_to_be_splits_raise_an_error(classes, says, tmp_path):
    with pytest.raises(DataError, match=says) as caught:
        prepare(tmp_path, *classes)
    assert re.search("either the folders train, val and test .* or only class", str(caught.value))
    assert not (tmp_path / "cache").exists()


def test_a_split_folder_without_images_is_named(tmp_path):
    (tmp_path / "pets" / "Val").mkdir(parents=True)
    with pytest.raises(DataError, match="There are no images in Val."):
        prepare(tmp_path, "Train/a", "Test/b")


def test_images_directly_in_a_split_are_counted(tmp_path):
    loose = {"Test/0.jpg": b"x"}
    with pytest.raises(DataError, match=r"1 are in `.*/Test` itself \(Test/0.jpg\)"):
        prepare(tmp_path, "Train/a", "Val/b", "Test/c", files=loose)


def test_a_class_in_two_splits_is_named(tmp_path):
    with pytest.raises(DataError, match='"a" in train and test. Remove it from one of them'):
        prepare(tmp_path, "Train/a", "Train/b", "Val/c", "Test/a")


def test_splits_of_ordinary_classification_raise_an_error_that_explains_how_to_merge(tmp_path):
    classes = [f"{split}/{name}" for split in ("train", "val", "test") for name in "abc"]
    with pytest.raises(DataError, match="have the splits drawn, move all images of a class into"):
        prepare(tmp_path, *classes)


def test_a_small_class_of_a_given_split_is_named_with_its_split(tmp_path):
    one = {"Val/c/0.png": images("x")["x/0.PNG"]}
    with pytest.raises(DataError, match='at least 2 images. Received: "Val/c" has 1. Add images'):
        prepare(tmp_path, "Train/a", "Test/b", files=one)


@pytest.mark.parametrize(
    ("num_classes", "min_classes", "expected"),
    [
        (6, (1, 1, 1), [4, 1, 1]),
        (6, (2, 2, 2), [2, 2, 2]),
        (7, (2, 2, 2), [3, 2, 2]),
        (10, (2, 2, 2), [6, 2, 2]),  # as without a minimum
        (9, (5, 2, 2), [5, 2, 2]),
        (12, (2, 5, 5), [2, 5, 5]),
        (20, (5, 5, 5), [10, 5, 5]),
        (10, (8, 1, 1), [8, 1, 1]),  # fewer for the others than their proportion
        (5, (2, 2, 2), [3, 1, 1]),  # not possible
        (3, (1, 1, 1), [1, 1, 1]),
    ],
)
def test_each_drawn_split_has_enough_classes_if_possible(
    num_classes, min_classes, expected, tmp_path
):
    packed = prepare(tmp_path, *map(str, range(num_classes)), min_classes=min_classes)
    assert [len(names) for names in names_of(packed)] == expected


def test_a_larger_test_split_contains_the_smaller_ones(tmp_path):
    tests = []
    for k, minimum in enumerate((1, 2, 3, 5)):
        packed = prepare(tmp_path / str(k), *map(str, range(12)), min_classes=(1, 1, minimum))
        tests.append(set(packed["test"].class_names))
    assert [len(test) for test in tests] == [2, 2, 3, 5]
    assert tests[0] == tests[1] < tests[2] < tests[3]


def test_it_is_stated_when_a_minimum_changes_the_proportions(tmp_path, caplog):
    prepare(tmp_path / "changed", *map(str, range(6)), min_classes=(2, 2, 2))
    (note,) = caplog.messages
    assert "The 6 classes of" in note and "need at least 2, 2 and 2 classes" in note
    assert "2 for train, 2 for val and 2 for test instead of 4, 1 and 1, because" in note
    caplog.clear()
    prepare(tmp_path / "usual", *map(str, range(10)), min_classes=(2, 2, 2))  # they suffice
    prepare(tmp_path / "few", *map(str, range(5)), min_classes=(2, 2, 2))  # not possible
    prepare(tmp_path / "given", "train/a", "val/b", "test/c", min_classes=(2, 2, 2))
    assert not caplog.messages


def test_a_minimum_that_is_met_already_changes_nothing(tmp_path):
    write_folder(tmp_path / "pets", images(*map(str, range(10))))
    usual = prepare_folder(tmp_path / "pets", tmp_path / "cache", 8)
    assert prepare_folder(tmp_path / "pets", tmp_path / "cache", 8, min_classes=(2, 2, 2)) == usual
    other = prepare_folder(tmp_path / "pets", tmp_path / "cache", 8, min_classes=(2, 3, 3))
    assert other != usual


def test_too_few_classes_for_any_split_state_how_many_are_needed(tmp_path):
    with pytest.raises(DataError, match="at least 15 classes, 5 for each of .*Received: 2 .a, b."):
        prepare(tmp_path, "a", "b", min_classes=(5, 5, 5))


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 1)])
def test_a_minimum_is_three_positive_numbers(bad, tmp_path):
    with pytest.raises(DataError, match=r"`min_classes` must be three positive numbers. Received"):
        prepare(tmp_path, "a", "b", "c", min_classes=bad)
