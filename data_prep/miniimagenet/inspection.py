"""Compares the images that are there with those MiniImagenet wants, before writing."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from data_prep.errors import DataError
from data_prep.images import decode
from data_prep.io import PictureSource, bar, in_parallel
from data_prep.miniimagenet.lists import Wanted, each
from data_prep.packed import listed
from data_prep.preparation import DuplicateFinder

# Where the images of a name are: usually at one place.
Places = Mapping[str, list[tuple[PictureSource, str]]]


@dataclass
class Inspection:
    """The result of the inspection; all fields contain names, in order.

    Attributes:
        missing: wanted images that are nowhere.
        unreadable: what is wrong with each wanted image that cannot be decoded.
        differing: wanted names that stand for different files at several places.
        repeated: wanted names that stand for equal files at several places.
        extra: images nobody wants.
        duplicates: pairs of different wanted images with the same pixels.
        unusable: what is missing or unreadable, as <split>/<class>/<image>.
        digest: a checksum of the names and pixels of all that is usable.
    """

    missing: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    duplicates: list[list[str]] = field(default_factory=list)
    unusable: set[str] = field(default_factory=set)
    digest: str = ""

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """Yields what there is to report: a heading and the names under it."""
        pairs = [f"{second} = {first}" for first, second in self.duplicates]
        for heading, names in (
            ("missing", self.missing),
            ("unreadable", [f"{name}: {fault}" for name, fault in self.unreadable.items()]),
            ("different files of the same name", self.differing),
            ("the same file at several places, taken once", self.repeated),
            ("not listed in the CSV files, left out", self.extra),
            ("same pixels under different names, kept", pairs),
        ):
            if names:
                yield heading, names

    def summary(self) -> list[str]:
        """One line per kind: how many, and a few of the names."""
        return [f"{heading}: {len(n):,} ({listed(n)})." for heading, n in self.sections()]

    def write(self, path: Path) -> None:
        """Writes every name into a text file."""
        text = "".join(
            f"{heading}: {len(names)}\n" + "".join(f"  {name}\n" for name in names)
            for heading, names in self.sections()
        )
        text = text or "All wanted images are there, and no others.\n"
        path.write_text(text, encoding="utf-8", errors="backslashreplace")

    def check(self, wanted: Wanted, allow_missing: bool) -> None:
        """Raises a DataError when the images must not be used as they are."""
        if self.differing:
            raise DataError(
                f"{len(self.differing):,} names stand for different images at several places: "
                f"{listed(self.differing)}. Leave one of each."
            )
        kinds = (("missing", self.missing), ("unreadable", list(self.unreadable)))
        lacking = [f"{len(names):,} {kind} ({listed(names)})" for kind, names in kinds if names]
        if lacking and not allow_missing:
            others = f"; {len(self.extra):,} others are there ({listed(self.extra, 1)})"
            total = sum(1 for _ in each(wanted))
            first = next(iter(self.unreadable.values()), "Add what is missing.")
            raise DataError(
                f"Not all {total:,} images of the CSV files can be used: {'; '.join(lacking)}"
                f"{others if self.extra else ''}. {first} Or use the others with `allow_missing`; "
                "`report=FILE` lists all of them."
            )


def find_pictures(sources: Sequence[PictureSource]) -> Places:
    """Returns the places of the images of each name, in any folder and with any suffix."""
    places = defaultdict(list)
    for source in sources:
        for member in source.names:
            places[PurePosixPath(member).stem].append((source, member))
    return dict(places)


def first_of(places: Places, file_name: str) -> tuple[bytes, str]:
    """Returns the bytes of an image, and a name for it in an error message."""
    source, member = places[Path(file_name).stem][0]
    return source.read(member), source.where(member)


def inspect_images(wanted: Wanted, places: Places, *, workers: int, progress: bool) -> Inspection:
    """Compares, and decodes every wanted image to see whether it is sound.

    Args:
        wanted: what the CSV files list.
        places: what is there.
        workers: how many images to decode at once.
        progress: whether to show a bar on a terminal.
    """
    found = Inspection()
    names = [f"{split}/{class_name}/{file_name}" for split, class_name, file_name in each(wanted)]
    stems = {Path(name).stem for name in names}
    found.extra = sorted(
        source.where(member) for stem in places.keys() - stems for source, member in places[stem]
    )
    found.missing = [name for name in names if Path(name).stem not in places]
    found.unusable = set(found.missing)
    _look_at_all(
        [name for name in names if Path(name).stem in places], places, found, workers, progress
    )
    return found


def _look_at_all(
    names: list[str], places: Places, found: Inspection, workers: int, progress: bool
) -> None:
    looks = in_parallel(lambda name: _look(places[Path(name).stem]), names, workers)
    finder, content = DuplicateFinder(), hashlib.sha256()
    shown = bar(looks, "Checking miniImagenet", len(names), "image", progress=progress)
    for name, look in zip(names, shown, strict=True):
        if look.num_kinds > 1:
            found.differing.append(name)
        elif len(places[Path(name).stem]) > 1:
            found.repeated.append(name)
        if look.fault:
            found.unreadable[name] = look.fault
            found.unusable.add(name)
        else:
            finder.add(name, look.pixels)
            content.update(name.encode("utf-8", "surrogateescape") + look.pixels)
    found.duplicates, found.digest = finder.pairs, content.hexdigest()


class _Look(NamedTuple):
    """A digest of an image's pixels, or what is wrong; how many files claim its name."""

    pixels: bytes = b""
    fault: str = ""
    num_kinds: int = 1


def _look(there: list[tuple[PictureSource, str]]) -> _Look:
    try:
        files = [source.read(member) for source, member in there]
        image = decode(files[0], there[0][0].where(there[0][1]))
    except DataError as error:
        return _Look(fault=str(error))
    kind = f"{image.mode} {image.size} ".encode()
    return _Look(hashlib.sha256(kind + image.tobytes()).digest(), "", len(set(files)))


def usable(wanted: Wanted, found: Inspection) -> dict[str, dict[str, list[str]]]:
    """Returns what is wanted without what cannot be had; classes without images go.

    Raises:
        DataError: nothing is left of a split.
    """
    left = {
        split: {
            class_name: kept
            for class_name, names in classes.items()
            if (kept := [n for n in names if f"{split}/{class_name}/{n}" not in found.unusable])
        }
        for split, classes in wanted.items()
    }
    if lacking := [split for split, classes in left.items() if not classes]:
        raise DataError(
            f"No image of the {' and '.join(lacking)} split is there. Name the folder or archive "
            "that contains them with `source`."
        )
    return left
