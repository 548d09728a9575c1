import numpy as np
import pytest
from PIL import Image

from data_prep import ensure_folder, prepare_synthetic_miniimagenet, prepare_synthetic_omniglot
from mtnet_tf.experiments.build import build_network
from mtnet_tf.experiments.data import DataSource
from mtnet_tf.experiments.flags import resolve


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
