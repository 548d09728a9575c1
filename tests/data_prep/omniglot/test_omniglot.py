import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import (
    DataError,
    ensure_omniglot,
    load_packed,
    prepare_omniglot,
    prepare_synthetic_omniglot,
)
from data_prep.io.locks import LOCK_NAME
from data_prep.omniglot.originals import CHARACTERS
from support.archives import (
    NUM_CHARACTERS,
    PARTS,
    SORTED_CLASSES,
    part_files,
    scribble,
    write_archives,
    write_folder,
    write_zip,
)


@pytest.fixture
def archives(tmp_path, monkeypatch):
    for part in PARTS:
        monkeypatch.setitem(CHARACTERS, part, NUM_CHARACTERS[part])
    return write_archives(tmp_path / "archives")


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != LOCK_NAME  # some versions of filelock write into it
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (_, data) in snapshot(folder).items()}


def test_png_files_have_the_original_layout_and_are_1_bit(archives, data_dir):
    prepare_omniglot(data_dir, [archives])
    found = sorted(p.relative_to(data_dir / "omniglot_resized") for p in data_dir.rglob("*.png"))
    assert sorted({path.parent.as_posix() for path in found}) == SORTED_CLASSES
    assert len(found) == 100
    with Image.open(data_dir / "omniglot_resized" / found[0]) as image:
        assert (image.size, image.mode) == ((28, 28), "1")


def test_packed_rows_follow_sorted_classes_and_sorted_files(archives, data_dir):
    packed = load_packed(prepare_omniglot(data_dir, [archives]), verify=True)
    assert list(packed.class_names) == SORTED_CLASSES
    assert packed.counts.tolist() == [20] * 5
    assert packed.images.shape == (100, 28, 28, 1)
    rows = [
        (c, f) for c, files in zip(SORTED_CLASSES, packed.file_names, strict=True) for f in files
    ]
    assert rows == sorted(rows)
    for pixels, (class_name, file_name) in zip(packed.images, rows, strict=True):
        with Image.open(data_dir / "omniglot_resized" / class_name / file_name) as image:
            np.testing.assert_array_equal(pixels[..., 0], np.where(np.asarray(image), 0, 255))


def test_packed_pixels_are_the_inverted_source_pixels(archives, data_dir):
    packed = load_packed(prepare_omniglot(data_dir, [archives]))
    first = np.asarray(scribble(1101 - 100))  # drawing 1 of Angelic/character02, an own seed
    rows = np.floor((np.arange(28) + 0.5) * 3.75).astype(int)
    row = packed.offsets[packed.class_names.index("Angelic/character02")]
    np.testing.assert_array_equal(
        packed.images[row, :, :, 0], np.where(first[np.ix_(rows, rows)], 0, 255)
    )


def test_the_index_describes_the_images(archives, data_dir):
    packed = load_packed(prepare_omniglot(data_dir, [archives], resampling="lanczos"))
    assert (packed.dataset, packed.synthetic) == ("omniglot", False)
    assert packed.details == {"num_classes": 5, "resampling": "lanczos", "duplicates": []}
    assert len(np.unique(packed.images)) > 2


def test_a_folder_with_unpacked_archives_gives_the_same_as_the_archives(
    archives, data_dir, tmp_path
):
    for part in PARTS:
        write_folder(tmp_path / "unpacked", part_files(part))
    from_zip = prepare_omniglot(data_dir, [archives])
    from_folder = prepare_omniglot(tmp_path / "other", [tmp_path / "unpacked"])
    assert contents(from_zip) == contents(from_folder)


def test_archives_may_be_renamed_or_without_top_folder(archives, data_dir):
    renamed = archives / "first.zip"
    (archives / "images_background.zip").rename(renamed)
    bare = {name.split("/", 1)[1]: data for name, data in part_files("images_evaluation").items()}
    write_zip(archives / "images_evaluation.zip", bare)
    folder = prepare_omniglot(data_dir, [archives / "images_evaluation.zip", renamed])
    assert list(load_packed(folder).class_names) == SORTED_CLASSES


@pytest.mark.parametrize("place", ["data", "data/omniglot", "."])
def test_archives_are_found_without_being_named(archives, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(archives, tmp_path / place, dirs_exist_ok=True)
    assert prepare_omniglot("data") == Path("data/omniglot_packed")


def test_mac_folders_dotfiles_and_other_files_are_ignored(archives, data_dir):
    junk = {
        "__MACOSX/images_background/Greek/character01/._0000_01.png": b"junk",
        "images_background/Greek/.DS_Store": b"junk",
        "images_background/.hidden/character01/0001_01.png": b"junk",
        "images_background/readme.txt": b"hello",
    }
    write_zip(archives / "images_background.zip", part_files("images_background") | junk)
    assert len(load_packed(prepare_omniglot(data_dir, [archives])).images) == 100


def test_duplicate_drawings_are_recorded_and_kept(archives, data_dir):
    files = part_files("images_background")
    names = sorted(files)
    files[names[3]] = files[names[1]]
    write_zip(archives / "images_background.zip", files)
    packed = load_packed(prepare_omniglot(data_dir, [archives]))
    pair = [name.removeprefix("images_background/") for name in (names[1], names[3])]
    assert packed.details["duplicates"] == [pair]
    assert len(packed.images) == 100


def test_a_second_run_does_nothing_and_needs_no_source(archives, data_dir):
    first = prepare_omniglot(data_dir, [archives])
    before = snapshot(data_dir)
    shutil.rmtree(archives)
    assert prepare_omniglot(data_dir) == first
    assert snapshot(data_dir) == before


def test_the_packed_folder_is_enough_for_a_second_run(archives, data_dir):
    first = prepare_omniglot(data_dir, [archives])
    shutil.rmtree(data_dir / "omniglot_resized")
    assert prepare_omniglot(data_dir) == first
    assert not (data_dir / "omniglot_resized").exists()


def test_force_creates_the_same_files_again(archives, data_dir):
    prepare_omniglot(data_dir, [archives])
    before = snapshot(data_dir)
    prepare_omniglot(data_dir, [archives], force=True)
    after = snapshot(data_dir)
    assert {n: d for n, (_, d) in before.items()} == {n: d for n, (_, d) in after.items()}
    assert all(before[name][0] < after[name][0] for name in before if name.endswith("json"))


def test_other_options_require_force(archives, data_dir):
    prepare_omniglot(data_dir, [archives])
    with pytest.raises(
        DataError, match=r"resampling=nearest, but resampling=lanczos.*`force=True`"
    ):
        prepare_omniglot(data_dir, [archives], resampling="lanczos")
    folder = prepare_omniglot(data_dir, [archives], resampling="lanczos", force=True)
    assert load_packed(folder).details["resampling"] == "lanczos"


def test_a_failed_force_keeps_the_finished_folders(archives, data_dir):
    prepare_omniglot(data_dir, [archives])
    before = snapshot(data_dir)
    (archives / "images_background.zip").write_bytes(b"spoilt")
    with pytest.raises(DataError):
        prepare_omniglot(data_dir, [archives], force=True)
    assert snapshot(data_dir) == before


def test_a_missing_packed_folder_is_created_from_the_resized_one(archives, data_dir):
    folder = prepare_omniglot(data_dir, [archives])
    before = contents(folder)
    shutil.rmtree(folder)
    shutil.rmtree(archives)
    assert contents(prepare_omniglot(data_dir)) == before


def test_a_resized_folder_of_the_original_script_is_packed(archives, data_dir):
    folder = prepare_omniglot(data_dir, [archives])
    expected = load_packed(folder).images.copy()
    shutil.rmtree(folder)
    (data_dir / "omniglot_resized" / ".data_prep.json").unlink()
    before = snapshot(data_dir / "omniglot_resized")
    np.testing.assert_array_equal(load_packed(prepare_omniglot(data_dir)).images, expected)
    prepare_omniglot(data_dir, force=True)
    assert snapshot(data_dir / "omniglot_resized") == before


@pytest.mark.parametrize("options", [{"resampling": "lanczos"}, {"sources": ["archives"]}])
def test_a_foreign_resized_folder_is_rejected(archives, data_dir, options):
    write_folder(data_dir, {"omniglot_resized/notes.txt": b"mine"})
    with pytest.raises(DataError, match="not created by data_prep and is in the way"):
        prepare_omniglot(data_dir, force=True, **options)
    assert (data_dir / "omniglot_resized" / "notes.txt").read_bytes() == b"mine"


def test_an_incomplete_resized_folder_is_not_packed(archives, data_dir):
    folder = prepare_omniglot(data_dir, [archives])
    shutil.rmtree(folder)
    shutil.rmtree(data_dir / "omniglot_resized" / "Braille")
    with pytest.raises(
        DataError, match=r"must contain 5 characters. Received: 4.*away, so that it"
    ):
        prepare_omniglot(data_dir)


def test_a_foreign_packed_folder_is_rejected_even_with_force(archives, data_dir):
    write_folder(data_dir, {"omniglot_packed/notes.txt": b"mine"})
    with pytest.raises(DataError, match="No packed images"):
        prepare_omniglot(data_dir, [archives])
    with pytest.raises(DataError, match="is not changed"):
        prepare_omniglot(data_dir, [archives], force=True)
    assert (data_dir / "omniglot_packed" / "notes.txt").read_bytes() == b"mine"


def test_an_unknown_resampling_is_rejected(data_dir):
    with pytest.raises(DataError, match="must be one of nearest, lanczos"):
        prepare_omniglot(data_dir, resampling="bicubic")


def test_ensure_accepts_a_prepared_folder_with_any_options(tmp_path):
    made = prepare_synthetic_omniglot(tmp_path, num_classes=3, seed=5, progress=False)
    assert ensure_omniglot(tmp_path, synthetic=True) == made
    assert len(load_packed(made).counts) == 3


def test_names_of_the_archives_and_their_folders_may_be_in_upper_case(archives, data_dir, tmp_path):
    expected = load_packed(prepare_omniglot(tmp_path / "first", [archives]))
    for part in PARTS:
        (archives / f"{part}.zip").unlink()
        files = {name.replace(part, part.upper()): data for name, data in part_files(part).items()}
        write_zip(archives / f"{part.title()}.ZIP", files)
    found = load_packed(prepare_omniglot(data_dir, [archives]))
    assert found.class_names == expected.class_names
    np.testing.assert_array_equal(found.images, expected.images)


def test_a_tilde_in_any_path_stands_for_the_home_folder(archives, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    packed = prepare_omniglot("~/data", ["~/archives"])
    assert packed == tmp_path / "data" / "omniglot_packed" == ensure_omniglot("~/data")
    synthetic = prepare_synthetic_omniglot("~/drawn", num_classes=2, progress=False)
    assert synthetic.is_relative_to(tmp_path / "drawn")
