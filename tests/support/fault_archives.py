"""Faults of archives. Each is a function of a `Place`, or returns one."""

import io
import shutil
import stat
import tarfile
import zipfile

import pytest

from support.archives import encode_png, part_files, scribble, write_zip
from support.jpegs import jpegs

PART = "images_background"
DRAWING = f"{PART}/Greek/character01/0000_01.png"


def with_members(changes):
    """Adds and changes members of one Omniglot archive; removes those that are None."""

    def spoil(place):
        files = {**part_files(PART), **changes}
        kept = {name: data for name, data in files.items() if data is not None}
        write_zip(place.source / f"{PART}.zip", kept)

    return spoil


def archive_bytes(change):
    """Changes the bytes of one Omniglot archive."""

    def spoil(place):
        path = place.source / f"{PART}.zip"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def patched(offset, value):
    """Changes a field of the first entry of the central directory."""

    def change(data):
        start = data.index(b"PK\x01\x02") + offset
        return data[:start] + value + data[start + len(value) :]

    return archive_bytes(change)


def flip_a_byte(place):
    path = place.source / f"{PART}.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored, so that only the CRC can notice
        for name, data in part_files(PART).items():
            archive.writestr(name, data)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 0xFF
    path.write_bytes(data)


def zip_with_link(place):
    with zipfile.ZipFile(place.source / f"{PART}.zip", "a") as archive:
        link = zipfile.ZipInfo(f"{PART}/Greek/link.png")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")


def add_twice(place):
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(place.source / f"{PART}.zip", "a") as archive,
    ):
        archive.writestr(DRAWING, encode_png(scribble(7)))


def tar_of(*members, cut=None, mode="w"):
    """Puts the images of MiniImagenet into a tar archive and adds further members."""

    def spoil(place):
        shutil.rmtree(place.source / "images")
        with tarfile.open(place.source / "images.tar", mode) as archive:
            for name, data in jpegs().items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for member in members:
                archive.addfile(member)
        path = place.source / "images.tar"
        path.write_bytes(path.read_bytes()[:cut])
        place.source = path

    return spoil


def tar_link(kind):
    member = tarfile.TarInfo("images/0/link.jpg")
    member.type, member.linkname = kind, "/etc/passwd"
    return member
