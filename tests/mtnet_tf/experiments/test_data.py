import numpy as np
import pytest
from PIL import Image

from data_prep import ensure_folder, prepare_synthetic_miniimagenet, prepare_synthetic_omniglot
from mtnet_tf.experiments.build import build_network
from mtnet_tf.experiments.data import DataSource
from mtnet_tf.experiments.flags import resolve
from mtnet_tf.experiments.reports import run_name


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Small stand-ins of both data sets."""
    path = tmp_path_factory.mktemp("data")
    prepare_synthetic_omniglot(path, num_classes=60, progress=False)
    prepare_synthetic_miniimagenet(path, num_classes=(4, 3, 3), per_class=20, progress=False)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten classes of seven images, grey and of several sizes."""
    path = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in "abcdefghij":
        (path / name).mkdir()
        for i in range(7):
            pixels = rng.integers(0, 256, (20 + i, 30), np.uint8)
            Image.fromarray(pixels).save(path / name / f"{i}.png")
    return path


def settings(datasource, data_dir, **given):
    given = {"data_source": datasource, "data_dir": str(data_dir), "num_ways": 2, **given}
    return resolve({"synthetic": datasource != "folder", **given})


def folder_settings(photos, tmp_path, **given):
    given = {"packed_dir": str(tmp_path), "image_size": 12, **given}
    return settings("folder", photos, **given)


@pytest.mark.parametrize(
    ("datasource", "split", "num_shots", "expected"),
    [
        ("omniglot", "train", 5, 5),  # K, as in the authors' code
        ("omniglot", "test", 2, 2),
        ("miniimagenet", "train", 1, 15),
        ("miniimagenet", "val", 1, 15),
        ("miniimagenet", "test", 1, 1),
        ("miniimagenet", "train", 8, 12),  # what is left of 20
    ],
)
def test_number_of_query_images_per_class(data_dir, datasource, split, num_shots, expected):
    data = DataSource(settings(datasource, data_dir, num_shots=num_shots))
    assert data.tasks(split).num_queries == expected


def test_the_user_may_choose_the_number_of_queries(data_dir):
    data = DataSource(settings("miniimagenet", data_dir, num_queries=3))
    assert data.tasks("test").num_queries == 3


@pytest.mark.parametrize("datasource", ["omniglot", "miniimagenet"])
def test_splits_share_no_class(data_dir, datasource):
    data = DataSource(settings(datasource, data_dir))
    assert not data.find_leaks().classes
    names = [
        {packed.class_names[c] for c in classes}
        for packed, classes in (data.pictures(split) for split in ("train", "val", "test"))
    ]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]


def test_number_of_training_classes_can_be_reduced(data_dir):
    data = DataSource(settings("miniimagenet", data_dir, num_train_classes=2))
    assert len(data.pictures("train").classes) == 2
    assert len(data.pictures("test").classes) == 3


def test_network_for_a_folder_has_the_size_of_its_images(photos, tmp_path):
    given = folder_settings(photos, tmp_path, num_filters=4)
    data = DataSource(given)
    tasks = data.tasks("train")
    assert tasks.image_shape == (12, 12, 1)  # all grey
    network = build_network(given, tasks)
    assert network.input_shape == (None, 12, 12, 1) and network.output_shape == (None, 2)
    assert sum(len(data.pictures(s).classes) for s in ("train", "val", "test")) == 10


def test_an_image_in_two_splits_is_found(photos, tmp_path):
    source = tmp_path / "source"
    for split, names in {"train": "abc", "val": "de", "test": "fg"}.items():
        for name in names:
            (source / split / name).mkdir(parents=True)
            for file in (photos / name).iterdir():
                (source / split / name / file.name).write_bytes(file.read_bytes())
    stolen = source / "test" / "f" / "stolen.png"
    stolen.write_bytes((photos / "a" / "3.png").read_bytes())
    overlap = DataSource(folder_settings(source, tmp_path / "packed")).find_leaks()
    (twins,) = overlap.across
    assert (twins.first, twins.second) == ("a/3.png", "f/stolen.png")
    assert (twins.first_split, twins.second_split) == ("train", "test")


def test_too_many_ways_for_a_split_raise_an_error(photos, tmp_path):
    given = folder_settings(photos, tmp_path, num_ways=5)
    with pytest.raises(ValueError, match="`num_ways` must not exceed the 2 classes of the val"):
        DataSource(given).tasks("val")


def test_a_folder_is_listed_once(photos, tmp_path, monkeypatch):
    calls = []

    def counting(*args, **options):
        calls.append(args)
        return ensure_folder(*args, **options)

    monkeypatch.setattr("mtnet_tf.experiments.data.ensure_folder", counting)
    data = DataSource(folder_settings(photos, tmp_path))
    data.check_same_images({"data": data.identity()})
    assert data.tasks("train").num_ways == data.tasks("val").num_ways == 2
    assert not data.find_leaks().classes and len(calls) == 1


def folder_of(tmp_path, classes):
    """A folder with so many images in each class, named by its path; returns its path."""
    rng = np.random.default_rng(0)
    for name, count in classes.items():
        (tmp_path / "own" / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (6, 6), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / name / f"{i}.png")
    return tmp_path / "own"


def source_of(tmp_path, classes, **given):
    folder = folder_of(tmp_path, classes)
    return DataSource(folder_settings(folder, tmp_path / "packed", num_shots=1, **given))


def test_six_classes_suffice_for_tasks_of_two(tmp_path):
    data = source_of(tmp_path, dict.fromkeys("abcdef", 3))
    assert [len(data.pictures(s).classes) for s in ("train", "val", "test")] == [2, 2, 2]
    assert [data.tasks(s).num_ways for s in ("train", "val", "test")] == [2, 2, 2]
    assert "its 6 classes were divided at random into 2 for training" in data.split_notes()[0]


def test_training_tasks_of_more_ways_get_enough_classes(tmp_path):
    data = source_of(tmp_path, dict.fromkeys("abcdefgh", 3), num_train_ways=4)
    assert [len(data.pictures(s).classes) for s in ("train", "val", "test")] == [4, 2, 2]


def test_given_splits_have_no_note(tmp_path):
    splits = {"Train/a": 3, "Train/b": 3, "Val/c": 3, "Val/d": 3, "Test/e": 3, "Test/f": 3}
    data = source_of(tmp_path, splits)
    assert data.split_notes() == [] and data.tasks("test").num_ways == 2


GIVEN = {"Train/a": 3, "Train/b": 3, "Val/c": 3, "Test/d": 3, "Test/e": 3}


@pytest.mark.parametrize(
    ("classes", "given", "split", "says"),
    [
        (
            dict.fromkeys("abcde", 3),
            {},
            "val",
            "`num_ways` must not exceed the 1 class of the val split. Received: num_ways=2, with 3 "
            "train, 1 val and 1 test classes. Add 1 class to `data_dir`: the splits are drawn "
            r"from 5 classes, and 6 are needed \(2 \+ 2 \+ 2\).$",
        ),
        (
            dict.fromkeys("abcdefghij", 3),
            {"num_ways": 5},
            "test",
            "2 classes of the test split.* Add 5 classes to .* 15 are needed .*set `num_ways=3`.$",
        ),
        (GIVEN, {}, "val", "the 1 class of the val split.* Add 1 class to the val folder in"),
        (
            dict.fromkeys("abcdefghij", 3),
            {"num_ways": 3, "num_train_classes": 2},
            "train",
            "the 2 classes of the train split.* Set `num_train_classes` to 3 or more, or to -1",
        ),
        (
            dict.fromkeys("abcdefgh", 3),
            {"num_train_ways": 5},
            "val",
            r"with 5 train, 1 val and 2 test classes. Add 1 class to .*needed \(5 \+ 2 \+ 2\).$",
        ),
    ],
)
def test_too_few_classes_state_how_many_are_needed(classes, given, split, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        source_of(tmp_path, classes, **given).tasks(split)


def test_too_few_synthetic_classes_state_how_many_are_needed(data_dir):
    with pytest.raises(ValueError, match="3 classes of the val .* at least 5 are needed in each"):
        DataSource(settings("omniglot", data_dir, num_ways=5)).tasks("val")


@pytest.mark.parametrize(
    ("given", "split", "says"),
    [
        ({"num_shots": 3, "num_queries": 2}, "val", "at least 5 images: `num_shots` = 3 .* "
         '`num_queries` = 2 .* Received: "c" has 2, "d" has 4. Add images to these classes'),
        ({"num_shots": 2}, "test", '.*= 2 for the query set. Received: "e" has 3. Add'),
        ({"num_shots": 1, "num_train_queries": 9}, "train", '.*ies` = 9 .*"a" has 6'),
        ({"num_shots": 6}, "train", r'at least 7 images: .* "a" has 6, "b\\n" has 6'),
    ],
)  # fmt: skip
def test_classes_with_too_few_images_are_named(given, split, says, tmp_path):
    counts = {"train/a": 6, "train/b\n": 6, "val/c": 2, "val/d": 4, "test/e": 3, "test/f": 9}
    folder = folder_of(tmp_path, counts)
    data = DataSource(folder_settings(folder, tmp_path / "packed", **given))
    with pytest.raises(ValueError, match=f"Every class of the {split} split must have {says}"):
        data.tasks(split)


def test_a_tilde_in_the_settings_stands_for_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder_of(tmp_path, dict.fromkeys("abcdef", 3))
    given = folder_settings("~/own", "~/packed")
    assert DataSource(given).tasks("val").num_ways == 2
    assert (tmp_path / "packed").is_dir()
    assert run_name(given.replace(data_dir="~")).startswith(f"folder_{tmp_path.name}12_2way")
