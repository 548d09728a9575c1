import json

import numpy as np
import pytest

from data_prep import DataError, load_packed, write_packed

IMAGES = np.arange(5 * 4 * 3 * 3, dtype=np.uint8).reshape(5, 4, 3, 3)
LABELS = {
    "class_names": ["cat", "dog"],
    "file_names": [["a.png", "b.png"], ["c.png", "d.png", "e.png"]],
    "image_shape": (4, 3, 3),
    "dataset": "pets",
}


@pytest.fixture
def folder(tmp_path):
    write_packed(tmp_path / "packed", iter(IMAGES), **LABELS, details={"seed": 3})
    return tmp_path / "packed"


def edit_index(folder, **changes):
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, **changes}))


def test_what_is_written_is_read_again(folder):
    packed = load_packed(folder, verify=True)
    np.testing.assert_array_equal(packed.images, IMAGES)
    assert packed.class_names == ("cat", "dog")
    assert packed.file_names == (("a.png", "b.png"), ("c.png", "d.png", "e.png"))
    assert (packed.dataset, packed.synthetic, packed.details) == ("pets", False, {"seed": 3})


def test_offsets_give_the_rows_of_a_class_of_any_size(folder):
    packed = load_packed(folder)
    np.testing.assert_array_equal(packed.counts, [2, 3])
    np.testing.assert_array_equal(packed.offsets, [0, 2, 5])


def test_images_are_memory_mapped_and_read_only(folder):
    images = load_packed(folder).images
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


def test_images_are_taken_one_at_a_time(tmp_path):
    held = []

    def stream():
        for image in IMAGES:
            held.append((tmp_path / ".packed.data_prep_building" / "images.npy").exists())
            yield image

    write_packed(tmp_path / "packed", stream(), **LABELS)
    assert held == [True] * 5


@pytest.mark.parametrize(
    ("images", "changes", "says"),
    [
        (IMAGES[:4], {}, "names 5 images.*Received: 4"),
        (np.concatenate([IMAGES, IMAGES]), {}, "names 5 images.*Received: 10"),
        (IMAGES.astype(np.float32), {}, r"must be uint8 \(4, 3, 3\).*float32"),
        (IMAGES[:, 1:], {}, r"must be uint8 \(4, 3, 3\).*\(3, 3, 3\)"),
        (IMAGES, {"class_names": ["dog", "cat"]}, "sorted"),
        (IMAGES, {"class_names": ["cat"]}, "disagree"),
        (IMAGES, {"file_names": [[], list("abcde")]}, "an image in each"),
        (IMAGES, {"image_shape": (4, 9)}, "H, W, C"),
    ],
)
def test_the_writer_rejects_wrong_images_and_leaves_nothing(tmp_path, images, changes, says):
    with pytest.raises(DataError, match=says):
        write_packed(tmp_path / "packed", images, **{**LABELS, **changes})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_only_on_request(folder):
    with pytest.raises(DataError, match="already exists"):
        write_packed(folder, IMAGES[::-1], **LABELS)
    write_packed(folder, IMAGES[::-1], **LABELS, replace=True)
    np.testing.assert_array_equal(load_packed(folder).images, IMAGES[::-1])


def test_a_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not changed"):
        write_packed(tmp_path / "packed", IMAGES, **LABELS, replace=True)
    assert (tmp_path / "packed" / "thesis.txt").read_text() == "years of work"


def truncate(folder):
    data = (folder / "images.npy").read_bytes()
    (folder / "images.npy").write_bytes(data[:-1])


DAMAGES = {
    "no index": (lambda f: (f / "index.json").unlink(), "No packed images"),
    "index cut off": (lambda f: (f / "index.json").write_text('{"form'), "not JSON"),
    "index is a list": (lambda f: (f / "index.json").write_text("[]"), "not a JSON object"),
    "other format": (lambda f: edit_index(f, format="tfrecord"), "Received: tfrecord"),
    "newer version": (lambda f: edit_index(f, version=2), "version 1. Received.*version 2"),
    "entry lost": (lambda f: edit_index(f, counts=None), "lacks a list `counts`"),
    "entry of wrong type": (lambda f: edit_index(f, file_names=[1, 2]), "wrong type"),
    "counts disagree": (lambda f: edit_index(f, counts=[3, 2]), "disagree"),
    "other shape": (lambda f: edit_index(f, image_shape=[3, 4, 3]), r"describes.*\(5, 3, 4, 3\)"),
    "no array": (lambda f: (f / "images.npy").unlink(), "`images.npy` is missing"),
    "array cut off": (truncate, "truncated"),
    "empty array file": (lambda f: (f / "images.npy").write_bytes(b""), "truncated"),
    "other type": (
        lambda f: np.save(f / "images.npy", IMAGES.astype(np.int64)),
        "contains int64",
    ),
    "pickle": (lambda f: np.save(f / "images.npy", np.array([{}])), "not an array"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_message_of_the_reader_names_the_damage(folder, damage):
    spoil, says = DAMAGES[damage]
    spoil(folder)
    with pytest.raises(DataError, match=says) as caught:
        load_packed(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"No packed images.*python -m data_prep"):
        load_packed(tmp_path / "nowhere")


def test_a_changed_pixel_is_found_when_verifying(folder):
    data = bytearray((folder / "images.npy").read_bytes())
    data[-1] ^= 1
    (folder / "images.npy").write_bytes(data)
    load_packed(folder)
    with pytest.raises(DataError, match="SHA-256"):
        load_packed(folder, verify=True)
