"""Faults of files and folders. Each is a function of a `Place`, or returns one."""

import errno
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.archives import PARTS, part_files, write_archives, write_folder, write_zip
from support.fault_archives import PART
from support.jpegs import csv_text, encode, photo, write_source

JPEG = "images/0/n0100000001.jpg"
PET = "cat/0.png"


@dataclass
class Place:
    """Where a fault occurs.

    Attributes:
        source: the folder of a user, complete and valid at first.
        data_dir: folder for the results; it does not exist yet.
        monkeypatch: of pytest.
    """

    source: Path
    data_dir: Path
    monkeypatch: pytest.MonkeyPatch


# ---- valid sources, to be changed --------------------------------------------------


def pets():
    return {
        f"{name}/{number}.png": encode(photo(10 * k + number, (12, 10)), "PNG")
        for k, name in enumerate(("cat", "dog", "emu"))
        for number in range(2)
    }


def sound_folder(folder):
    write_folder(folder, pets())
    return folder


SOUND = {"omniglot": write_archives, "miniimagenet": write_source, "folder": sound_folder}
IMAGE_OF = {"miniimagenet": JPEG, "folder": PET}


def with_image(command, data):
    return lambda place: (place.source / IMAGE_OF[command]).write_bytes(data)


# ---- CSV files --------------------------------------------------------------------


def with_csv(data, split="val"):
    def spoil(place):
        (place.source / f"{split}.csv").write_bytes(data)

    return spoil


def rows(*lines):
    return ("\n".join(["filename,label", *lines]) + "\n").encode()


def rename_a_class(name):
    """Renames a class of MiniImagenet."""

    def spoil(place):
        text = csv_text(["n04"]).replace(",n04", f",{name}")
        (place.source / "val.csv").write_text(text, encoding="utf-8")

    return spoil


# ---- files and folders ------------------------------------------------------------


def remove(*names):
    def spoil(place):
        for name in names:
            path = place.source / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def add(files):
    return lambda place: write_folder(place.source, files)


def rename(old, new):
    def spoil(place):
        (place.source / new).parent.mkdir(parents=True, exist_ok=True)
        (place.source / old).rename(place.source / new)

    return spoil


def moved(moves):
    def spoil(place):
        for old, new in moves.items():
            rename(old, new)(place)

    return spoil


def empty(place):
    shutil.rmtree(place.source)
    place.source.mkdir()


def no_source(place):
    shutil.rmtree(place.source)


def file_as_source(place):
    shutil.rmtree(place.source)
    place.source.write_bytes(b"not a folder")


def give_both_forms_of_a_part(place):
    (place.source / "images_evaluation.zip").unlink()
    write_zip(place.source / "images_evaluation.zip", part_files(PART))


def share_a_class(place):
    files = {
        name.replace("Angelic/character01", "Greek/character01"): data
        for name, data in part_files("images_evaluation").items()
    }
    write_zip(place.source / "images_evaluation.zip", files)


def unpack_omniglot(changes):
    def spoil(place):
        for part in PARTS:
            (place.source / f"{part}.zip").unlink()
            write_folder(place.source, {**part_files(part), **(changes if part == PART else {})})

    return spoil


def link_to_file(name):
    def spoil(place):
        outside = place.source.parent / "outside"
        (place.source / name).rename(outside)
        (place.source / name).symlink_to(outside)

    return spoil


def link_to_folder(name):
    def spoil(place):
        outside = place.source.parent / "outside"
        (place.source / name).rename(outside)
        (place.source / name).symlink_to(outside, target_is_directory=True)

    return spoil


def broken_link(name):
    def spoil(place):
        (place.source / name).unlink()
        (place.source / name).symlink_to("nowhere")

    return spoil


def loop(name):
    return lambda place: (place.source / name).symlink_to(place.source, target_is_directory=True)


JUNK = {
    f"{folder}{name}": b"junk"
    for folder in ("", "images/", "cat/", "__MACOSX/cat/", ".git/")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png", ".hidden.jpg")
}


# ---- the place for results --------------------------------------------------------


def data_dir_is_a_file(place):
    place.data_dir.write_bytes(b"a file")


def read_only(place):
    """Behaves like a read-only disk. Permissions would not stop every user."""

    def fail(path, *args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    place.monkeypatch.setattr(Path, "mkdir", fail)


def full(place):
    """Behaves like a full disk, on which an empty lock file can still be created."""
    original = io.open

    def fail(file, mode="r", *args, **kwargs):
        if set(mode) & set("wx") and place.data_dir in Path(os.fspath(file)).parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(file))
        return original(file, mode, *args, **kwargs)

    place.monkeypatch.setattr("io.open", fail)
    place.monkeypatch.setattr("builtins.open", fail)


def foreign(name):
    """Puts files of the user where the results are written."""

    def spoil(place):
        write_folder(place.data_dir, {f"{name}/thesis.txt": b"years of work"})

    return spoil
