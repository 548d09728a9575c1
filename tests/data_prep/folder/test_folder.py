import os
import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep import DataError, ensure_folder, load_packed, load_picture, prepare_folder
from support.archives import write_folder
from support.jpegs import encode, photo

SPLITS = ("train", "val", "test")
CLASSES = [f"class {letter}" for letter in "abcdefghij"]


def make_images(class_names, per_class=2):
    return {
        f"{name}/{number}.png": encode(photo(10 * k + number, (9, 7)), "PNG")
        for k, name in enumerate(class_names)
        for number in range(per_class)
    }


@pytest.fixture
def source(tmp_path):
    write_folder(tmp_path / "pets", make_images(CLASSES))
    return tmp_path / "pets"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def load(folder):
    return {split: load_packed(folder / split, verify=True) for split in SPLITS}


def listing(folder):
    return {path: path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_classes_are_split_with_a_seed(source, cache):
    packed = load(prepare_folder(source, cache, 8))
    names = {split: packed[split].class_names for split in SPLITS}
    assert [len(names[split]) for split in SPLITS] == [6, 2, 2]
    assert sorted(sum(names.values(), ())) == CLASSES
    again = load(prepare_folder(source, cache, 8))
    assert {split: again[split].class_names for split in SPLITS} == names
    other = load(prepare_folder(source, cache, 8, seed=1))
    assert {split: other[split].class_names for split in SPLITS} != names


def test_three_classes_are_enough(tmp_path, cache):
    write_folder(tmp_path / "pets", make_images(CLASSES[:3]))
    packed = load(prepare_folder(tmp_path / "pets", cache, 8))
    assert [len(packed[split].class_names) for split in SPLITS] == [1, 1, 1]


def test_given_splits_are_kept(tmp_path, cache):
    files = make_images(CLASSES[:4])
    homes = {"class a": "train", "class b": "train", "class c": "val", "class d": "test"}
    files = {f"{homes[name.split('/')[0]]}/{name}": data for name, data in files.items()}
    write_folder(tmp_path / "pets", files)
    packed = load(prepare_folder(tmp_path / "pets", cache, 8))
    assert packed["train"].class_names == ("class a", "class b")
    assert packed["val"].class_names == ("class c",)
    assert packed["test"].details["split_given"]


def test_a_class_may_be_called_train(tmp_path, cache):
    write_folder(tmp_path / "vehicles", make_images(["train", "car", "bus"]))
    packed = load(prepare_folder(tmp_path / "vehicles", cache, 8))
    assert sorted(sum((p.class_names for p in packed.values()), ())) == ["bus", "car", "train"]


def test_packed_pixels_are_those_of_load_picture(source, cache):
    packed = load(prepare_folder(source, cache, (8, 12)))
    for split in packed.values():
        assert split.images.shape[1:] == (8, 12, 3)
        for k, name in enumerate(split.class_names):
            for row, file_name in enumerate(split.file_names[k], split.offsets[k]):
                expected = load_picture(source / name / file_name, (8, 12, 3))
                np.testing.assert_array_equal(split.images[row], expected)


def test_grey_is_detected_or_requested(source, cache, tmp_path):
    assert load(prepare_folder(source, cache, 8, grey=True))["val"].images.shape[-1] == 1
    for path in source.rglob("*.png"):
        Image.open(path).convert("L").convert("RGB").save(path)
    assert load(prepare_folder(source, cache, 8))["val"].images.shape[-1] == 1
    assert load(prepare_folder(source, cache, 8, grey=False))["val"].images.shape[-1] == 3


def test_the_folder_of_the_user_is_not_changed(source, cache):
    before = listing(source)
    prepare_folder(source, cache, 8)
    assert listing(source) == before


def test_an_unchanged_folder_is_not_packed_again(source, cache):
    first = prepare_folder(source, cache, 8)
    before = listing(first)
    assert prepare_folder(source, cache, 8) == first
    assert ensure_folder(source, 8, packed_dir=cache) == first
    assert listing(first) == before
    prepare_folder(source, cache, 8, force=True)
    assert listing(first) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: os.utime(folder / "class a" / "0.png", (1, 1)),
        lambda folder: (folder / "class a" / "0.png").rename(folder / "class a" / "9.png"),
        lambda folder: write_folder(folder, make_images(["class z"])),
        lambda folder: (folder / "class a").rename(folder / "class y"),
    ],
)
def test_a_changed_folder_is_packed_again(source, cache, change):
    first = prepare_folder(source, cache, 8)
    change(source)
    assert prepare_folder(source, cache, 8) != first


def test_the_default_cache_is_that_of_the_user(source, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert ensure_folder(source, 8).parent == tmp_path / "xdg" / "mtnet_tf"


def test_a_folder_that_changes_while_it_is_packed_is_rejected(source, cache, monkeypatch):
    from data_prep.folder import prepare

    def change(*args, **kwargs):
        write_folder(source, make_images(["class z"]))

    monkeypatch.setattr(prepare, "fill_splits", change)
    with pytest.raises(DataError, match="changed while it was being packed"):
        prepare_folder(source, cache, 8)
    assert [path.name for path in cache.iterdir()] == [".data_prep.lock"]


def test_duplicates_and_other_files_are_logged(source, cache, caplog):
    shutil.copy(source / "class a" / "0.png", source / "class a" / "2.png")
    write_folder(source, {"class b/notes.txt": b"", "Thumbs.db": b"", ".DS_Store": b""})
    packed = load(prepare_folder(source, cache, 8))
    assert "same pixels, all kept: class a/2.png = class a/0.png." in caplog.text
    assert "without the suffix of an image, left out: class b/notes.txt." in caplog.text
    assert packed["val"].details["duplicates"] == [["class a/0.png", "class a/2.png"]]


@pytest.mark.parametrize("bad", [{"split": (1, 0, 1)}, {"seed": -1}, {"image_size": 0}])
def test_impossible_arguments_are_rejected(source, cache, bad):
    with pytest.raises(DataError, match=f"Received: {next(iter(bad))}="):
        prepare_folder(source, cache, **{"image_size": 8, **bad})


def test_a_tilde_in_any_path_stands_for_the_home_folder(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    packed = prepare_folder("~/pets", "~/cache", 8)
    assert packed.parent == tmp_path / "cache"
    assert ensure_folder("~/pets", 8, packed_dir="~/cache") == packed
    np.testing.assert_array_equal(
        load_picture("~/pets/class a/0.png", (8, 8, 3)),
        load_picture(source / "class a" / "0.png", (8, 8, 3)),
    )


@pytest.mark.parametrize("bits", [12, 16])
def test_images_of_12_and_16_bits_are_packed_like_single_ones(bits, tmp_path, cache, caplog):
    rng = np.random.default_rng(bits)
    for name in "abc":
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 2**bits, (8, 8)).astype(np.uint16)
            pixels[0, 0] = 2**bits - 1
            Image.fromarray(pixels).save(tmp_path / "scans" / name / f"{number}.png")
    for split in load(prepare_folder(tmp_path / "scans", cache, 8)).values():
        assert split.images.max() == 255
        for row, file in enumerate(split.file_names[0]):
            path = tmp_path / "scans" / split.class_names[0] / file
            np.testing.assert_array_equal(split.images[row], load_picture(path, (8, 8, 1)))
    assert not caplog.text


def test_different_ranges_of_16_bits_are_logged(tmp_path, cache, caplog):
    for name, white in {"a": 4095, "b": 65535, "c": 4095}.items():
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((8, 8), white - number, np.uint16)
            Image.fromarray(pixels).save(tmp_path / "scans" / name / f"{number}.png")
    prepare_folder(tmp_path / "scans", cache, 8)
    expected = "white is 4095 in a/0.png, a/1.png and 2 more; 65535 in b/0.png, b/1.png."
    assert expected in caplog.text


def test_class_names_of_any_bytes_are_packed(tmp_path, cache):
    names = sorted([os.fsdecode(b"cat\xff"), "two\nlines", 'a,"b"\t', "Cat", "cat", "\u732b"])
    write_folder(tmp_path / "pets", make_images(names))
    packed = load(prepare_folder(tmp_path / "pets", cache, 8))
    assert sorted(sum((p.class_names for p in packed.values()), ())) == names
