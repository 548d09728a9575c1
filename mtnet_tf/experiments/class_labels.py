"""Names of classes as short labels of a plot, which stay different from each other."""

import functools
import re
from collections.abc import Sequence

from matplotlib import font_manager

from data_prep.io import printable

_SHORTEST_FOLDER = 8


def class_labels(names: Sequence[str], longest: int = 20) -> list[str]:
    """Short labels, in the order of the names, no two of which are equal.

    Example:
    >>> class_labels(["Greek/character01", "Greek/character02"])
    ['Greek 01', 'Greek 02']
    >>> class_labels(["Synthetic_Alphabet_07/character03", "Synthetic_Alphabet_08/character12"])
    ['Syntheti…habet_07 03', 'Syntheti…habet_08 12']

    Args:
        names: names of classes, "folder/name" or "name".
        longest: number of characters of a label, before it is numbered.
    """
    parts = [_drawable(printable(name)).rpartition("/") for name in names]
    # The word in "character03" says nothing if it is the same in every name.
    numbered = [re.fullmatch(r"(\D*)(\d+)", name) for _, _, name in parts]
    words = {found[1] if found else None for found in numbered}
    has_numbers = len(words) == 1 and None not in words and all(folder for folder, *_ in parts)
    if has_numbers:
        parts = [(p[0], " ", found[2]) for p, found in zip(parts, numbered, strict=True) if found]
    return _distinct([_short(*part, longest) for part in parts])


def _short(folder: str, separator: str, name: str, longest: int) -> str:
    """The label, with its two parts shortened in the middle."""
    if not folder:
        return _cut(name, longest)
    name = _cut(name, longest - len(separator) - min(len(folder), _SHORTEST_FOLDER))
    return f"{_cut(folder, longest - len(separator) - len(name))}{separator}{name}"


def _cut(text: str, length: int) -> str:
    """At most `length` characters of the text, from its beginning and its end."""
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def _distinct(labels: Sequence[str]) -> list[str]:
    """The labels, with a number after each that occurred before."""
    found: dict[str, None] = {}
    for label in labels:
        candidate, number = label, 2
        while candidate in found:
            candidate, number = f"{label} ({number})", number + 1
        found[candidate] = None
    return list(found)


def _drawable(text: str) -> str:
    """The text, with escape sequences for the characters that the font of the plots lacks."""
    return "".join(c if ord(c) in _glyphs() else ascii(c)[1:-1] for c in text)


@functools.cache
def _glyphs() -> frozenset[int]:
    """The characters of the font of the plots."""
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return frozenset(font.get_charmap())
