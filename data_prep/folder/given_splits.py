"""Finds the splits that a user's folder contains, under any of their usual names."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from data_prep.errors import DataError
from data_prep.io import FolderSource, is_visible
from data_prep.packed import (
    SPLITS,
    check_disjoint,
    listed,
    look_like_splits,
    name_splits,
    split_word,
)

_PART = re.compile(r"(k?folds?|splits?|partitions?|subsets?|cv)[\W_]*\d+")
# Names such as character01 number the classes of a group, and repeat in every group.
_NUMBERED = re.compile(r"\D*\d+")


def read_given_splits(source: FolderSource) -> dict[str, dict[str, list[str]]] | None:
    """Returns the classes of the three splits; None if the folder contains only classes.

    Args:
        source: the folder. All of its images are in folders.

    Raises:
        DataError: if it seems to contain splits, but not exactly one of each.
    """
    place = _single_folder(source.names)
    tops = _by_folder(source.names, place)
    nested = [t for t, names in tops.items() if not any(_is_in(n, place + t) for n in names)]
    # A class may have the name of a split. The folder of a split contains folders.
    if not look_like_splits(nested):
        _check_classes(source, place, tops)
        return None
    empty = [name for name in _subfolders(source, place) if name not in tops]
    found = name_splits([*tops, *(name for name in empty if split_word(name))])
    if found.chosen is None:
        raise _unclear(source, place, tops, " ".join(found.questions()))
    if lacking := [name for name in found.chosen.values() if name not in tops]:
        raise _unclear(source, place, tops, f"There are no images in {' and '.join(lacking)}.")
    splits = {}
    for split in SPLITS:
        folder = place + found.chosen[split]
        _check_no_loose_images(source, folder, tops[found.chosen[split]])
        splits[split] = _classes(tops[found.chosen[split]], f"{folder}/")
    check_disjoint(splits, f"`{source.path}`", _advice(splits, source))
    return splits


def group(names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the names by class, which is the path of their folder."""
    return _classes(names, "")


def _classes(names: Iterable[str], prefix: str) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    for name in names:
        classes.setdefault(name.removeprefix(prefix).rsplit("/", 1)[0], []).append(name)
    return classes


def _by_folder(names: Iterable[str], place: str) -> dict[str, list[str]]:
    """Returns the names by the folder in `place` that contains them."""
    tops: dict[str, list[str]] = {}
    for name in names:
        tops.setdefault(name.removeprefix(place).split("/", 1)[0], []).append(name)
    return tops


def _single_folder(names: Sequence[str]) -> str:
    """Returns the folder that contains everything, as in a downloaded archive; else ""."""
    place = ""
    while len(tops := _by_folder(names, place)) == 1:
        (top,) = tops
        if split_word(top) or any(_is_in(name, place + top) for name in names):
            break
        place += f"{top}/"
    return place


def _is_in(name: str, folder: str) -> bool:
    """Whether a file is directly in a folder that contains it."""
    return "/" not in name.removeprefix(f"{folder}/")


def _subfolders(source: FolderSource, place: str) -> list[str]:
    folders = (path for path in sorted((source.path / place).iterdir()) if path.is_dir())
    return [folder.name for folder in folders if is_visible(folder.name)]


def _clear_splits(names: Iterable[str]) -> set[str]:
    """The splits that have a clear name."""
    named = name_splits(name for name in names if look_like_splits([name]))
    return {split for split, found in named.by_split.items() if found}


def _check_no_loose_images(source: FolderSource, folder: str, names: Sequence[str]) -> None:
    if loose := [name for name in names if _is_in(name, folder)]:
        raise DataError(
            f"Images must be in class folders, but {len(loose):,} are in `{source.path}/"
            f"{folder}` itself ({listed(loose)}). Move them into class folders."
        )


def _check_classes(source: FolderSource, place: str, tops: Mapping[str, Sequence[str]]) -> None:
    """Raises a DataError if folders that are not splits seem to be parts of a data set."""
    inner = [name for top, names in tops.items() for name in _inner_classes(names, place + top)]
    firsts = {name.split("/", 1)[0] for name in inner}
    counts = Counter(name for name in inner if not _NUMBERED.fullmatch(name))
    repeated = sorted(name for name, number in counts.items() if number > 1)
    reason = ""
    if len(_clear_splits(tops)) > 1:
        reason = "These contain images. Move them into a folder for each class."
    elif all(_PART.fullmatch(top.casefold()) for top in tops):
        reason = "Rename those that are splits, and move all images of a class into one of them."
    elif all(map(split_word, firsts)) and len(_clear_splits(firsts)) > 1:
        reason = (
            f"They contain {listed(sorted(firsts))}, but each split has classes of its own: move "
            "all images of a class into one folder."
        )
    elif len(repeated) * 2 > len(counts):
        reason = (
            f"They contain classes of the same names ({listed(repeated)}). If these are the same "
            "classes, move all images of a class into one folder; if not, rename them."
        )
    if reason:
        raise _unclear(source, place, tops, reason)


def _inner_classes(names: Iterable[str], folder: str) -> list[str]:
    """The classes below a folder, relative to it."""
    return list(_classes((name for name in names if not _is_in(name, folder)), f"{folder}/"))


def _unclear(source: FolderSource, place: str, tops: Iterable[str], reason: str) -> DataError:
    folder = source.path / place
    return DataError(
        f"`{folder}` must contain either the folders train, val and test with class folders in "
        f"each, or only class folders, whose split is drawn. Received: {listed(sorted(tops))}. "
        f"{reason}"
    )


def _advice(splits: Mapping[str, Mapping[str, object]], source: FolderSource) -> str:
    names = [set(classes) for classes in splits.values()]
    if not names[0] <= names[1] | names[2]:
        return "Remove it from one of them."
    return (
        f"To have the splits drawn, move all images of a class into one folder in `{source.path}`, "
        "without train, val and test."
    )
