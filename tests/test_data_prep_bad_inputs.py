"""Every damaged or hostile input gives one sentence, exit status 2 and no folder."""

import re
import shutil
import stat
import zipfile

import pytest
from data_prep_archives import (
    NUM_CHARACTERS,
    PARTS,
    encode_png,
    part_files,
    scribble,
    write_archives,
    write_folder,
    write_zip,
)

from data_prep.__main__ import main
from data_prep.omniglot_sources import CHARACTERS

PART = "images_background"
MEMBER = f"{PART}/Greek/character01/0000_01.png"


def with_members(changes):
    """Returns a fault that adds, changes or (None) removes members of one archive."""

    def spoil(folder):
        files = {**part_files(PART), **changes}
        kept = {name: data for name, data in files.items() if data is not None}
        write_zip(folder / f"{PART}.zip", kept)

    return spoil


def flip_a_byte(folder):
    path = folder / f"{PART}.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored, so that only the CRC can notice
        for name, data in part_files(PART).items():
            archive.writestr(name, data)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 0xFF
    path.write_bytes(data)


def cut_off(folder):
    data = (folder / f"{PART}.zip").read_bytes()
    (folder / f"{PART}.zip").write_bytes(data[: len(data) // 2])


def patch_directory(offset, value):
    """Returns a fault that changes a field of the first entry of the central directory."""

    def spoil(folder):
        data = bytearray((folder / f"{PART}.zip").read_bytes())
        start = data.index(b"PK\x01\x02") + offset
        data[start : start + len(value)] = value
        (folder / f"{PART}.zip").write_bytes(data)

    return spoil


def add_symlink(folder):
    with zipfile.ZipFile(folder / f"{PART}.zip", "a") as archive:
        link = zipfile.ZipInfo(f"{PART}/Greek/link.png")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")


def add_twice(folder):
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(folder / f"{PART}.zip", "a") as archive,
    ):
        archive.writestr(MEMBER, encode_png(scribble(7)))


def give_both_forms_of_a_part(folder):
    (folder / "images_evaluation.zip").unlink()
    write_zip(folder / "images_evaluation.zip", part_files(PART))


def share_a_class(folder):
    files = part_files("images_evaluation")
    moved = {
        name.replace("Angelic/character01", "Greek/character01"): d for name, d in files.items()
    }
    write_zip(folder / "images_evaluation.zip", moved)


def fill_folder_instead(folder):
    (folder / f"{PART}.zip").unlink()
    write_folder(folder, {**part_files(PART), MEMBER: encode_png(scribble(1))[:60]})


def nothing_useful(folder):
    shutil.rmtree(folder)
    folder.mkdir()


WHOLE_CLASS = {name: None for name in part_files(PART) if "Braille" in name}
FAULTS = {
    "not a zip": (
        lambda f: (f / f"{PART}.zip").write_bytes(b"<html>404</html>"),
        "is no zip or tar archive",
    ),
    "empty file": (lambda f: (f / f"{PART}.zip").write_bytes(b""), "is no zip or tar archive"),
    "truncated zip": (cut_off, "truncated or damaged zip"),
    "bad crc": (flip_a_byte, "0000_01.png.*is damaged.*CRC"),
    "lying size": (patch_directory(24, b"\x10\0\0\0"), "0000_01.png.*is damaged"),
    "unknown compression": (patch_directory(10, b"\x63\0"), "0000_01.png.*is damaged"),
    "absolute name": (with_members({"/etc/x.png": b"x"}), "/etc/x.png.*points outside"),
    "parent name": (with_members({f"{PART}/../../x.png": b"x"}), "points outside"),
    "windows name": (with_members({"C:\\x.png": b"x"}), "points outside"),
    "windows parent": (with_members({"..\\x.png": b"x"}), "points outside"),
    "symlink": (add_symlink, "link.png.*symbolic link"),
    "encrypted": (patch_directory(8, b"\x01\0"), "is encrypted"),
    "bomb": (with_members({MEMBER: bytes(10**7)}), "10000000 bytes long.*at most 16384"),
    "same member twice": (add_twice, "0000_01.png. 2 times"),
    "zero-byte picture": (with_members({MEMBER: b""}), "0000_01.png.*empty"),
    "truncated picture": (
        with_members({MEMBER: encode_png(scribble(1))[:60]}),
        "0000_01.png.*not a complete PNG",
    ),
    "truncated picture in a folder": (fill_folder_instead, "0000_01.png.*not a complete PNG"),
    "wrong size": (
        with_members({MEMBER: encode_png(scribble(1, (28, 28)))}),
        "must be 105x105.*Received: 28x28",
    ),
    "wrong mode": (
        with_members({MEMBER: encode_png(scribble(1, mode="RGB").resize((105, 105)))}),
        "1-bit.*mode RGB",
    ),
    "too few characters": (with_members(WHOLE_CLASS), "must hold 3 characters. Received: 2"),
    "19 drawings": (with_members({MEMBER: None}), "must hold 20 drawings. Received: 19"),
    "21 drawings": (
        with_members({MEMBER.replace("_01", "_21"): encode_png(scribble(1))}),
        "must hold 20 drawings. Received: 21",
    ),
    "too deep": (
        with_members({f"{PART}/Greek/a/b/0.png": encode_png(scribble(1))}),
        "must be at <alphabet>/<character>/<drawing>.png",
    ),
    "one archive missing": (
        lambda f: (f / f"{PART}.zip").unlink(),
        "images_background is missing",
    ),
    "same part twice": (give_both_forms_of_a_part, "both hold images_background"),
    "same class in both": (share_a_class, "both hold the character `Greek/character01`"),
    "both parts in one": (
        with_members(part_files("images_evaluation")),
        "must hold one of.*Received: images_background and images_evaluation",
    ),
    "nothing there": (nothing_useful, "must hold one of.*Received: neither"),
    "no such path": (shutil.rmtree, "does not exist"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_input_gives_one_sentence_and_no_folder(fault, tmp_path, monkeypatch, capsys):
    for part in PARTS:
        monkeypatch.setitem(CHARACTERS, part, NUM_CHARACTERS[part])
    folder = write_archives(tmp_path / "archives")
    spoil, says = FAULTS[fault]
    spoil(folder)
    data_dir = tmp_path / "data"

    status = main(["omniglot", "--source", str(folder), "--data_dir", str(data_dir)])

    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert re.search(says, said.err), said.err
    assert [path.name for path in data_dir.iterdir()] == [".data_prep.lock"]
