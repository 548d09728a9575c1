import math

import pytest

from mtnet_tf.experiments.metrics_file import read_metrics, write_metrics

ROWS = [{"iteration": 4.0, "val_loss": 0.5}, {"iteration": 8.0, "val_loss": 0.25}]
TEXT = "iteration,val_loss\r\n4,0.5\r\n8,0.25\r\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.csv"


def test_what_is_written_is_read(path):
    write_metrics(path, ROWS)
    assert path.read_bytes().decode() == TEXT
    assert read_metrics(path).rows == ROWS and not read_metrics(path).fault


def test_rows_may_have_different_columns(path):
    rows = [{"iteration": 4.0, "old": 1.0}, {"iteration": 8.0, "new": 2.0}]
    write_metrics(path, rows)
    assert path.read_text().splitlines() == ["iteration,old,new", "4,1,", "8,,2"]
    assert read_metrics(path).rows == rows and not read_metrics(path).fault


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (TEXT[:-3], [4]),  # truncated: "0.2" of "0.25"
        (TEXT[:-6], [4]),
        (TEXT + "12,abc\r\n", [4, 8]),
        (TEXT + "12\r\n", [4, 8]),
        (TEXT + "12,0.1,7\r\n", [4, 8]),
        (TEXT + "nan,0.1\r\n-4,0.1\r\n4.5,0.1\r\ninf,0.1\r\n", [4, 8]),
        (TEXT + '12,"0.1\r\n', [4, 8]),
        (TEXT.replace("4,0.5", "\0\0\0\0\xff"), [8]),
        (TEXT + "8,0.25\r\n", [4, 8]),  # repeated
        (TEXT + TEXT, [4, 8]),
        ("val_loss,step\r\n0.5,4\r\n", []),
        ("4,0.5\r\n8,0.25\r\n", []),
        ("iteration,iteration\r\n4,5\r\n", []),
        ("", []),
        ("\r\n", []),
    ],
)
def test_readable_rows_of_a_damaged_file_are_kept(path, text, kept):
    path.write_bytes(text.encode("latin-1"))
    found = read_metrics(path)
    assert [row["iteration"] for row in found.rows] == kept
    assert found.fault


@pytest.mark.parametrize(
    "text", ["iteration,val_loss\n8,0.25\n4,0.5\n", "\ufeff" + TEXT, TEXT.strip() + "\n\n"]
)
def test_a_file_that_was_sorted_or_saved_by_another_program_is_whole(path, text):
    path.write_text(text, encoding="utf-8")
    assert read_metrics(path).rows == ROWS and not read_metrics(path).fault


def test_the_later_one_of_two_rows_counts(path):
    path.write_text(TEXT + "4,0.125\n")
    assert [row["val_loss"] for row in read_metrics(path).rows] == [0.125, 0.25]


def test_a_score_that_is_not_a_number_is_no_damage(path):
    path.write_text("iteration,val_loss\n4,nan\n")
    (row,) = read_metrics(path).rows
    assert math.isnan(row["val_loss"]) and not read_metrics(path).fault


def test_a_missing_file_has_no_rows_and_a_folder_is_a_fault(path):
    assert read_metrics(path).rows == [] and not read_metrics(path).fault
    path.mkdir()
    assert read_metrics(path).rows == [] and read_metrics(path).fault == "is a folder"
