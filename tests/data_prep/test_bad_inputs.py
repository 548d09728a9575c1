"""Bad inputs are handled, or give one sentence of error, status 2 and no folder."""

import re

import pytest

from data_prep import load_packed
from data_prep.__main__ import main
from data_prep.omniglot.originals import CHARACTERS
from support.archives import NUM_CHARACTERS, PARTS
from support.fault_table import TABLE
from support.faults import SOUND, Place

NUM_IMAGES = {"omniglot": 100, "miniimagenet": 24, "folder": 6}


def run(command, place):
    """Runs the command line on a place and returns its exit status."""
    options = {
        "omniglot": ["--data_dir"],
        "miniimagenet": ["--data_dir"],
        "folder": ["--image_size", "8", "--packed_dir"],
    }
    source = ["--source", str(place.source)]
    return main([command, *source, *options[command], str(place.data_dir)])


@pytest.mark.parametrize("fault", TABLE)
def test_a_bad_input_is_handled_or_gives_one_sentence_and_no_folder(
    fault, tmp_path, monkeypatch, capsys
):
    command, spoil, says = TABLE[fault]
    for part in PARTS:
        monkeypatch.setitem(CHARACTERS, part, NUM_CHARACTERS[part])
    place = Place(SOUND[command](tmp_path / "source"), tmp_path / "data", monkeypatch)
    spoil(place)
    before = {path for path in tmp_path.rglob("*") if "data" in path.relative_to(tmp_path).parts}

    status = run(command, place)

    monkeypatch.undo()
    printed = capsys.readouterr()
    if says is None:
        assert (status, printed.err) == (0, "")
        indexes = [path.parent for path in place.data_dir.rglob("index.json")]
        packed = [load_packed(folder, verify=True) for folder in indexes]
        assert sum(len(part.images) for part in packed) == NUM_IMAGES[command]
        return
    assert (status, printed.out) == (2, "")
    assert printed.err.count("\n") == 1
    assert re.search(says, printed.err), printed.err
    left = {path for path in tmp_path.rglob("*") if "data" in path.relative_to(tmp_path).parts}
    assert {path.name for path in left - before} <= {"data", ".data_prep.lock"}
