import pytest

from data_prep.packed import SPLITS, look_like_splits, name_splits, split_word


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Train", "Val", "Test"),
        ("TRAIN", "VALID", "TEST"),
        ("training", "validation", "testing"),
        ("Training Set", "validation-set", "test_set"),
        ("meta-train", "meta_val", "metatest"),
        ("trn", "dev", "tst"),
        ("trains", "vals", "tests"),
        ("train2017", "val2017", "test2017"),
        ("01_train", "02_val", "03_test"),
        ("train_images", "val images", "images.test"),
        ("trainset", "valset", "testdata"),
        ("base", "validation", "novel"),
        ("background", "development", "evaluation"),
        ("train", "eval", "test"),
        ("train", "val", "holdout"),
        ("base_classes", "val_classes", "novel_classes"),
    ],
)
def test_usual_names_are_assigned_to_the_splits(names):
    assert name_splits(reversed(names)).chosen == dict(zip(SPLITS, names, strict=True))
    assert look_like_splits(names)


@pytest.mark.parametrize(
    "name",
    ["cat", "trainstation", "contest", "latest", "strain", "dataset", "images", "set", "", "42",
     "\u8a13\u7df4", "trian", "invalid"],
)  # fmt: skip
def test_other_names_are_not_splits(name):
    assert split_word(name) == ""
    assert name_splits([name]).others == [name]


@pytest.mark.parametrize(
    ("names", "questions"),
    [
        (["train", "holdout"], ["It is not clear which split holdout is: rename to val or test"]),
        (
            ["train", "test"],
            ["There is no val: move some of the classes there, or put all class folders next"],
        ),
        (["train"], ["There is no val and test: move some of the classes there"]),
        (
            ["Test", "test", "train", "val"],
            ["Test and test seem to be the same split: merge them."],
        ),
        (
            ["train", "val", "test", "extra"],
            ["extra cannot be assigned to a split: move it away, or, if it is a class, into"],
        ),
        (
            ["train", "val", "test", "cats", "dogs"],
            [
                "cats and dogs cannot be assigned to a split: move them away, or, if they are "
                "classes, into train, val or test."
            ],
        ),
        (
            ["train", "eval", "holdout"],
            ["It is not clear which split eval and holdout are: rename to val or test"],
        ),
        (
            ["train", "val", "test", "eval"],
            ["It is not clear which split eval is: rename to val or test"],
        ),
    ],
)
def test_what_is_unclear_is_stated(names, questions):
    found = name_splits(names)
    assert found.chosen is None
    for sentence, beginning in zip(found.questions(), questions, strict=True):
        assert sentence.startswith(beginning) and sentence.endswith(".")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "car"], True),
        (["background", "foreground"], False),
        (["background"], False),
        (["base", "novel"], True),
        (["trains", "cars"], False),
        (["Greek", "Braille"], False),
        ([], False),
    ],
)
def test_one_clear_name_or_only_usual_names_look_like_splits(names, expected):
    assert look_like_splits(names) == expected
