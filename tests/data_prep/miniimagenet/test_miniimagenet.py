import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import (
    DataError,
    ensure_miniimagenet,
    load_packed,
    load_picture,
    prepare_miniimagenet,
)
from support.archives import write_folder, write_zip
from support.jpegs import (
    LISTS,
    PER_CLASS,
    csv_files,
    csv_text,
    encode,
    file_names,
    jpegs,
    photo,
    write_source,
)

SPLITS = ("train", "val", "test")


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "source")


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def write_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_the_layout_is_that_of_the_original_code(source, data_dir):
    prepare_miniimagenet(data_dir, [source])
    found = {p.relative_to(data_dir / "miniImagenet").as_posix() for p in data_dir.rglob("*.jpg")}
    assert found == {
        f"{split}/{label}/{name}"
        for split, labels in LISTS.items()
        for label in labels
        for name in file_names(label)
    }


def test_images_of_the_right_size_are_copied_and_the_source_is_unchanged(source, data_dir):
    before = contents(source)
    prepare_miniimagenet(data_dir, [source])
    for path in (data_dir / "miniImagenet").rglob("*.jpg"):
        (original,) = source.rglob(path.name)
        assert path.read_bytes() == original.read_bytes()
    assert contents(source) == before


def test_larger_images_are_stretched_with_lanczos(tmp_path, data_dir):
    prepare_miniimagenet(data_dir, [write_source(tmp_path / "source", (120, 96))])
    with Image.open(io.BytesIO(jpegs((120, 96))["images/0/n0100000001.jpg"])) as image:
        expected = image.resize((84, 84), Image.Resampling.LANCZOS)
    written = (data_dir / "miniImagenet/train/n01/n0100000001.jpg").read_bytes()
    assert written == encode(expected)


def turned(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(image, exif=exif)


ODD = {
    "CMYK": encode(photo(1).convert("CMYK")),
    "grey": encode(photo(1).convert("L")),
    "turned": turned(photo(1)),
    "PNG": encode(photo(1), "PNG"),
}


@pytest.mark.parametrize("kind", ODD)
def test_other_files_of_the_right_size_become_upright_rgb_jpeg_files(source, data_dir, kind):
    (source / "images/0/n0100000001.jpg").write_bytes(ODD[kind])
    prepare_miniimagenet(data_dir, [source])
    with Image.open(data_dir / "miniImagenet/train/n01/n0100000001.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (84, 84))
        assert 0x0112 not in image.getexif()
        found = np.asarray(image).astype(int)
    expected = load_picture(source / "images/0/n0100000001.jpg", (84, 84, 3))
    assert np.abs(found - expected).mean() < 12


def test_packed_rows_are_the_pixels_of_the_files(source, data_dir):
    folder = prepare_miniimagenet(data_dir, [source], workers=2)
    assert folder == data_dir / "miniImagenet_packed"
    for split in SPLITS:
        packed = load_packed(folder / split, verify=True)
        assert packed.class_names == LISTS[split]
        assert packed.counts.tolist() == [PER_CLASS] * len(LISTS[split])
        assert (packed.dataset, packed.synthetic) == ("miniImagenet", False)
        assert packed.details["split"] == split
        files = [
            (c, f) for c, fs in zip(packed.class_names, packed.file_names, strict=True) for f in fs
        ]
        for pixels, (label, name) in zip(packed.images, files, strict=True):
            with Image.open(data_dir / "miniImagenet" / split / label / name) as image:
                np.testing.assert_array_equal(pixels, np.asarray(image))


def test_archives_give_the_same_as_the_folder(source, data_dir, tmp_path):
    expected = contents(prepare_miniimagenet(data_dir, [source]))
    for name, files, mode in (("a.tar", jpegs(), "w"), ("b.tar.gz", jpegs(), "w:gz")):
        archive = write_tar(source / name, files, mode)
        assert contents(prepare_miniimagenet(tmp_path / name, [archive])) == expected
    archive = write_zip(source / "c.zip", jpegs())
    assert contents(prepare_miniimagenet(tmp_path / "zip", [archive])) == expected


def test_several_sources_make_one_data_set(source, data_dir):
    shutil.move(source / "images" / "1", source.parent / "elsewhere")
    folder = prepare_miniimagenet(data_dir, [source, source.parent / "elsewhere"])
    assert len(load_packed(folder / "train").images) == 3 * PER_CLASS


@pytest.mark.parametrize("suffix", [".JPEG", ".jpeg", ".JPG"])
def test_other_spellings_of_the_suffix_are_accepted(source, data_dir, suffix):
    for path in list(source.rglob("*.jpg")):
        path.rename(path.with_suffix(suffix))
    prepare_miniimagenet(data_dir, [source])
    assert len(list(data_dir.rglob("*.jpg"))) == 6 * PER_CLASS


def test_a_second_run_does_nothing_and_needs_no_source(source, data_dir):
    first = prepare_miniimagenet(data_dir, [source])
    shutil.rmtree(source)
    assert prepare_miniimagenet(data_dir) == first
    assert ensure_miniimagenet(data_dir) == first


def test_force_creates_the_same_files_again(source, data_dir):
    expected = contents(prepare_miniimagenet(data_dir, [source]))
    assert contents(prepare_miniimagenet(data_dir, [source], force=True)) == expected


def test_a_missing_packed_folder_is_created_from_the_images(source, data_dir):
    expected = contents(prepare_miniimagenet(data_dir, [source]))
    shutil.rmtree(source)
    shutil.rmtree(data_dir / "miniImagenet_packed")
    assert contents(ensure_miniimagenet(data_dir)) == expected


def test_a_folder_of_the_original_script_is_packed(source, data_dir):
    expected = load_packed(prepare_miniimagenet(data_dir, [source]) / "val").images.copy()
    shutil.rmtree(data_dir / "miniImagenet_packed")
    (data_dir / "miniImagenet" / ".data_prep.json").unlink()
    packed = load_packed(ensure_miniimagenet(data_dir) / "val")
    np.testing.assert_array_equal(packed.images, expected)


def test_ensure_finds_images_and_archives_in_their_place(data_dir):
    write_folder(data_dir / "miniImagenet_source", csv_files())
    write_zip(data_dir / "miniImagenet_source" / "images.zip", jpegs())
    packed = load_packed(ensure_miniimagenet(data_dir) / "test")
    assert packed.class_names == LISTS["test"]


def test_the_message_of_ensure_names_files_and_folders(data_dir):
    says = r"put its 60,000 images.*train.csv.*miniImagenet_source.*`sources`.*`synthetic=True`"
    with pytest.raises(DataError, match=says):
        ensure_miniimagenet(data_dir)


def test_findings_are_logged_and_reported_by_name(source, data_dir, caplog):
    images = source / "images" / "0"
    shutil.copy(images / "n0100000001.jpg", images / "n0100000002.jpg")  # same pixels
    (images / "copy").mkdir()
    shutil.copy(images / "n0100000003.jpg", images / "copy")  # same file twice
    (images / "n0300000001.jpg").unlink()
    (images / "n0300000002.jpg").write_bytes(b"")
    (images / "n9900000001.jpg").write_bytes(encode(photo(999)))
    folder = prepare_miniimagenet(
        data_dir, [source], allow_missing=True, report=source / "report.txt"
    )
    printed, report = caplog.text, (source / "report.txt").read_text()
    for words in (
        ("missing: 1", "train/n03/n0300000001.jpg"),
        ("unreadable: 1", "n0300000002.jpg", "is empty"),
        ("several copies of the same file, used once: 1", "n0100000003.jpg"),
        ("not listed in the CSV files, left out: 1", "n9900000001.jpg"),
        (
            "same pixels under different names, kept: 1",
            "n0100000002.jpg = train/n01/n0100000001.jpg",
        ),
    ):
        assert all(word in printed for word in words), printed
        assert all(word in report for word in words[1:])
    packed = load_packed(folder / "train")
    assert packed.counts.tolist() == [4, 4, 2]
    assert packed.details["duplicates"] == [
        ["train/n01/n0100000001.jpg", "train/n01/n0100000002.jpg"]
    ]


def test_a_class_without_images_can_be_left_out(source, data_dir):
    for path in source.rglob("n05*.jpg"):
        path.unlink()
    folder = prepare_miniimagenet(data_dir, [source], allow_missing=True)
    assert load_packed(folder / "test").class_names == ("n06",)


def test_csv_files_of_windows_are_read(source, data_dir):
    for split, labels in LISTS.items():
        text = csv_text(labels).replace("\n", "\r\n")
        (source / f"{split}.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert prepare_miniimagenet(data_dir, [source]).is_dir()


def packed_names(packed):
    return {split: load_packed(packed / split).class_names for split in SPLITS}


@pytest.mark.parametrize(
    "names", [("Train.csv", "Val.csv", "Test.CSV"), ("training.csv", "valid.csv", "testing.csv")]
)
def test_csv_files_may_have_other_usual_names_and_capitals(names, source, data_dir):
    for split, name in zip(SPLITS, names, strict=True):
        text = (source / f"{split}.csv").read_text().replace("filename,label", "Filename,Label")
        (source / f"{split}.csv").unlink()
        (source / name).write_text(text)
    for path in list(source.rglob("*.jpg")):
        path.rename(path.with_suffix(".JPG"))
    assert packed_names(prepare_miniimagenet(data_dir, [source])) == LISTS


def test_other_csv_files_next_to_the_usual_ones_do_not_matter(source, data_dir):
    (source / "Validation.csv").write_text("x")
    (source / "all.csv").write_text("x")
    assert packed_names(prepare_miniimagenet(data_dir, [source])) == LISTS


@pytest.mark.parametrize("names", [("Train", "Val", "Test"), ("TRAIN", "validation", "testing")])
def test_a_folder_of_another_program_may_have_other_usual_names(names, source, data_dir, tmp_path):
    prepare_miniimagenet(tmp_path / "first", [source])
    for split, name in zip(SPLITS, names, strict=True):
        shutil.copytree(tmp_path / "first/miniImagenet" / split, data_dir / "miniImagenet" / name)
    assert packed_names(prepare_miniimagenet(data_dir)) == LISTS
    shutil.copytree(data_dir / "miniImagenet" / names[0], data_dir / "miniImagenet" / "training-1")
    with pytest.raises(DataError, match="one folder for each of .* seem to be the same split"):
        prepare_miniimagenet(data_dir, force=True)


def test_a_tilde_in_any_path_stands_for_the_home_folder(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lists").mkdir()
    for split in SPLITS:
        (source / f"{split}.csv").rename(tmp_path / "lists" / f"{split}.csv")
    packed = prepare_miniimagenet("~/data", ["~/source"], "~/lists", report="~/report.txt")
    assert packed == tmp_path / "data" / "miniImagenet_packed"
    assert (tmp_path / "report.txt").is_file()
    assert ensure_miniimagenet("~/data") == packed
    assert load_packed("~/data/miniImagenet_packed/val").class_names == LISTS["val"]
