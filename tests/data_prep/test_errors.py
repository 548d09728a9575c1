"""How names of files are written by a user, and how they are shown."""

import os
from pathlib import Path

import pytest

from data_prep import DataError
from data_prep.io import printable, user_path


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("katze \u00e9\u4e2d\U0001f408", "katze \u00e9\u4e2d\U0001f408"),
        ("a,b;'c' \"d\" $e\\f", "a,b;'c' \"d\" $e\\f"),
        ("two\nlines\tand a tab", r"two\nlines\tand a tab"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("right\u202eto left", r"right\u202eto left"),
        (os.fsdecode(b"cat\xff"), r"cat\udcff"),
        ("\ud800", r"\ud800"),
        # How Python reads the bytes of "\u00e9" if the locale is not UTF-8.
        (b"\xc3\xa9".decode("ascii", "surrogateescape"), "\u00e9"),
        (Path("a\nb"), r"a\nb"),
    ],
)
def test_a_printable_name_is_one_line_and_can_be_encoded(name, shown):
    assert printable(name) == shown
    shown.encode("utf-8")
    assert str(DataError(str(name))) == shown


def test_a_tilde_stands_for_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert user_path("~") == Path("/home/ann")
    assert user_path(Path("~/runs/a")) == Path("/home/ann/runs/a")
    assert user_path("~root/a") == Path("/root/a")
    for unchanged in ("a/~/b", "a~", "~nobody-of-this-name/a", "/a", ""):
        assert user_path(unchanged) == Path(unchanged)
