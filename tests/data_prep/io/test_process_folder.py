"""Temporary folders of processes."""

import os
import subprocess
import sys

from data_prep.io import process_folder


def test_each_call_creates_an_empty_folder_and_the_folder_around_it(tmp_path):
    first, second = (process_folder(tmp_path / "shared") for _ in range(2))
    assert first != second
    for folder in (first, second):
        assert folder.parent == tmp_path / "shared" and not list(folder.iterdir())
        assert f".{os.getpid()}." in folder.name


def test_the_folder_of_an_ended_process_is_deleted_and_others_stay(tmp_path):
    create = "import sys, pathlib; from data_prep.io import process_folder as create\n"
    create += "folder = create(pathlib.Path(sys.argv[1])); (folder / 'file').touch()"
    subprocess.run([sys.executable, "-c", create, str(tmp_path)], check=True)
    (killed,) = tmp_path.iterdir()
    own = process_folder(tmp_path)
    elsewhere = tmp_path / ".process.another-computer.1.x"
    foreign = tmp_path / ".process.notes"
    for folder in (elsewhere, foreign):
        folder.mkdir()
    newest = process_folder(tmp_path)
    assert not killed.exists()
    assert set(tmp_path.iterdir()) == {own, newest, elsewhere, foreign}
