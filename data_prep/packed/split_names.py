"""Recognises the names that people give to the folders and files of the three splits."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from data_prep.packed.splits import SPLITS

# Names without upper case, separators, digits and the affixes below.
_CLEAR = {
    "train": "train training trn",
    "val": "val valid validation",
    "test": "test testing tst",
}
# These are splits only if all of their neighbours have the name of a split.
_USUAL = {
    "train": "trains trainings background base",
    "val": "vals validations validate validating dev devel development",
    "test": "tests novel",
}
# The validation or the test split, whichever has no folder of its own.
_EITHER = "eval evals evaluate evaluation evaluations holdout heldout"
_WORDS: dict[str, str] = dict.fromkeys(_EITHER.split(), "either")
for _words in (_CLEAR, _USUAL):
    _WORDS |= {word: split for split, text in _words.items() for word in text.split()}
_CLEAR_WORDS = {word for words in _CLEAR.values() for word in words.split()}
_AFFIXED = re.compile(
    "(?:meta|images?|imgs?|data)*(.+?)(?:data|sets?|splits?|images?|imgs?|class|classes|folder)*"
)


def split_word(name: str) -> str:
    """Returns the word in the name of a split; "" if it is not one.

    >>> split_word("01_Meta-Training"), split_word("test_images_2017"), split_word("cat")
    ('training', 'test', '')
    """
    letters = re.sub(r"[\W\d_]", "", name.casefold())
    found = _AFFIXED.fullmatch(letters)
    return found[1] if found and found[1] in _WORDS else ""


@dataclass(frozen=True)
class NamedSplits:
    """Names, by the split that they stand for.

    Attributes:
        by_split: names of train, val and test, in this order.
        either: names that may stand for the validation or the test split.
        others: names that stand for no split.
    """

    by_split: dict[str, list[str]]
    either: list[str]
    others: list[str]

    @property
    def chosen(self) -> dict[str, str] | None:
        """The name of each split; None unless there is exactly one of each and no other name."""
        if self.either or self.others or any(len(names) != 1 for names in self.by_split.values()):
            return None
        return {split: names[0] for split, names in self.by_split.items()}

    def questions(self) -> list[str]:
        """Returns a sentence for each reason why `chosen` is None."""
        found = [
            f"{_and(names)} seem to be the same split: merge them."
            for names in self.by_split.values()
            if len(names) > 1
        ]
        lacking = [split for split, names in self.by_split.items() if not names]
        if self.either:
            verb = "is" if len(self.either) == 1 else "are"
            found.append(
                f"It is not clear which split {_and(self.either)} {verb}: rename to val or test, "
                "and make sure that there is one of each."
            )
        elif lacking:
            found.append(
                f"There is no {_and(lacking)}: move some of the classes there, or put all class "
                "folders next to each other, without folders of splits."
            )
        if self.others:
            one = len(self.others) == 1
            them, are_classes = ("it", "it is a class") if one else ("them", "they are classes")
            found.append(
                f"{_and(self.others)} cannot be assigned to a split: move {them} away, or, if "
                f"{are_classes}, into {', '.join(SPLITS[:-1])} or {SPLITS[-1]}."
            )
        return found


def name_splits(names: Iterable[str]) -> NamedSplits:
    """Assigns names of folders or files to the splits.

    >>> name_splits(["Training", "Dev", "evaluation"]).chosen
    {'train': 'Training', 'val': 'Dev', 'test': 'evaluation'}

    Args:
        names: without suffixes.
    """
    by_split: dict[str, list[str]] = {split: [] for split in SPLITS}
    either, others = [], []
    for name in sorted(names):
        kind = _WORDS.get(split_word(name), "")
        by_split.get(kind, either if kind else others).append(name)
    free = [split for split in SPLITS[1:] if not by_split[split]]
    if len(either) == len(free) == 1:
        by_split[free[0]].append(either.pop())
    return NamedSplits(by_split, either, others)


def look_like_splits(names: Iterable[str]) -> bool:
    """Whether names are those of splits: one is clear, or all are usual and there are several."""
    words = [split_word(name) for name in names]
    return any(word in _CLEAR_WORDS for word in words) or (len(words) > 1 and all(words))


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
