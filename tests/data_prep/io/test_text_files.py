import csv
import json

import pytest

from data_prep.io import read_json, write_csv, write_json, write_text


def test_written_json_is_read_again(tmp_path):
    value = {"accuracy": 0.5, "names": ["a", "é"], "none": None}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_text(encoding="utf-8").endswith("}\n")


def test_csv_has_a_line_per_row(tmp_path):
    write_csv(tmp_path / "a.csv", [("iteration", "loss"), (1, 0.5), (2, "a,b")])
    assert (tmp_path / "a.csv").read_bytes() == b'iteration,loss\r\n1,0.5\r\n2,"a,b"\r\n'


def test_a_missing_folder_is_created(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "é\n")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "é\n"


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    write_json(tmp_path / "a.json", {"old": True})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})

    def rows():
        yield ("iteration",)
        raise KeyboardInterrupt

    write_text(tmp_path / "a.csv", "old")
    with pytest.raises(KeyboardInterrupt):
        write_csv(tmp_path / "a.csv", rows())
    assert read_json(tmp_path / "a.json") == {"old": True}
    assert (tmp_path / "a.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json"]


@pytest.mark.parametrize("text", ["", "{", json.dumps([1])[:-1]])
def test_a_damaged_json_file_is_named(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json is not readable JSON"):
        read_json(tmp_path / "a.json")


def test_names_that_cannot_be_encoded_are_escaped_and_stay_in_json(tmp_path):
    name = 'cat\udcff\n,"'
    write_text(tmp_path / "a.txt", name)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == 'cat\\udcff\n,"'
    write_csv(tmp_path / "a.csv", [[name, 1]])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [['cat\\udcff\n,"', "1"]]
    write_json(tmp_path / "a.json", [name])
    assert read_json(tmp_path / "a.json") == [name]
