import pytest

from mtnet_tf.experiments.class_labels import class_labels


def test_characters_are_numbered_within_their_alphabet():
    names = ["Futurama/character03", "Futurama/character12", "Greek/character03"]
    assert class_labels(names) == ["Futurama 03", "Futurama 12", "Greek 03"]


def test_other_names_in_folders_are_kept():
    assert class_labels(["cats/tabby", "dogs/pug2"]) == ["cats/tabby", "dogs/pug2"]
    assert class_labels(["a/x1", "a/y1"]) == ["a/x1", "a/y1"]  # the words are different
    assert class_labels(["character01", "character02"]) == ["character01", "character02"]


def test_long_names_are_shortened_in_the_middle():
    names = [f"Synthetic_Alphabet_{i:02d}/character{j:02d}" for i in range(30) for j in range(40)]
    labels = class_labels(names)
    assert labels[7 * 40 + 3] == "Syntheti…habet_07 03"
    assert all(label.endswith(f"_{i // 40:02d} {i % 40:02d}") for i, label in enumerate(labels))
    assert len(set(labels)) == len(names) and max(map(len, labels)) <= 20


HARD = {
    "differ in the middle": ["a" * 30 + x + "b" * 30 for x in "123"],
    "already numbered": ["x" * 50, "x" * 51, "x" * 52 + " (2)", "x" * 53],
    "a numbered original": ["a\nb", "a\\nb", "a\\nb (2)"],
    "differ in case": ["Cat", "cat"],
    "no font": ["\u30ab\u30bf", "\u30ab\u30ca", "\U0001f600"],
    "not UTF-8": ["caf\udce9", "caf\udce8"],
    "long leaf": [f"a/{'b' * 40}{i}" for i in range(20)],
    "long folder and leaf": [f"{'a' * 40}{i}/{'b' * 40}{i % 2}" for i in range(4)],
    "empty": ["", "/", "a/", "/a"],
}


@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("longest", [20, 32])
def test_labels_are_different_short_and_on_one_line(case, longest):
    labels = class_labels(HARD[case], longest)
    assert len(set(labels)) == len(HARD[case])
    assert all(len(label) <= longest + len(" (4)") and label.isprintable() for label in labels)
    "".join(labels).encode("utf-8")
