"""Compares the images of the sources with those of MiniImagenet before anything is written."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep.errors import DataError
from data_prep.images import decode
from data_prep.io import ImageSource, bar, in_parallel, printable, write_text
from data_prep.miniimagenet.lists import Wanted, each
from data_prep.packed import listed
from data_prep.preparation import DuplicateFinder

# The sources and member names of the images of each name; usually a single one.
Places = Mapping[str, list[tuple[ImageSource, str]]]


@dataclass(frozen=True)
class Inspection:
    """The result of the inspection. All fields contain names, in order.

    Attributes:
        missing: images of the data set that no source contains.
        unreadable: images of the data set that cannot be decoded, with the reason.
        differing: images of the data set for which there are several, different files.
        repeated: images of the data set for which there are several, equal files.
        extra: images that are not in the data set.
        duplicates: pairs of different images of the data set with the same pixels.
        unusable: the missing and the unreadable images, as <split>/<class>/<image>.
        digest: a checksum of the names and pixels of all usable images.
    """

    missing: list[str]
    unreadable: dict[str, str]
    differing: list[str]
    repeated: list[str]
    extra: list[str]
    duplicates: list[list[str]]
    unusable: set[str]
    digest: str

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """Yields the headings of the report, each with the names under it."""
        pairs = [f"{second} = {first}" for first, second in self.duplicates]
        for heading, names in (
            ("missing", self.missing),
            ("unreadable", [f"{name}: {fault}" for name, fault in self.unreadable.items()]),
            ("different files of the same name", self.differing),
            ("several copies of the same file, used once", self.repeated),
            ("not listed in the CSV files, left out", self.extra),
            ("same pixels under different names, kept", pairs),
        ):
            if names:
                yield heading, names

    def summary(self) -> list[str]:
        """Returns one line per heading: the number of names, and a few of them."""
        return [f"{heading}: {len(n):,} ({listed(n)})." for heading, n in self.sections()]

    def write(self, path: Path) -> None:
        """Writes all names to a text file."""
        text = "".join(
            f"{heading}: {len(names)}\n" + "".join(f"  {printable(name)}\n" for name in names)
            for heading, names in self.sections()
        )
        text = text or "The sources contain all images of the data set and no others.\n"
        write_text(path, text)

    def check(self, wanted: Wanted, allow_missing: bool) -> None:
        """Raises a DataError if the images cannot be used.

        Args:
            wanted: content of the CSV files.
            allow_missing: whether images may be missing or unreadable.
        """
        if self.differing:
            raise DataError(
                f"{len(self.differing):,} file names belong to several different images: "
                f"{listed(self.differing)}. Keep one image for each name."
            )
        kinds = (("missing", self.missing), ("unreadable", list(self.unreadable)))
        lacking = [f"{len(names):,} {kind} ({listed(names)})" for kind, names in kinds if names]
        if lacking and not allow_missing:
            others = f"; {len(self.extra):,} others were found ({listed(self.extra, 1)})"
            total = sum(1 for _ in each(wanted))
            first = next(iter(self.unreadable.values()), "Add the missing images.")
            raise DataError(
                f"Not all {total:,} images of the CSV files can be used: {'; '.join(lacking)}"
                f"{others if self.extra else ''}. {first} Or prepare the others with `python -m "
                "data_prep miniimagenet` and `allow_missing=True`; `report=FILE` lists all names."
            )


def find_images(sources: Sequence[ImageSource]) -> Places:
    """Returns the places of the images of each name, in any folder and with any suffix."""
    places = defaultdict(list)
    for source in sources:
        for member in source.names:
            places[PurePosixPath(member).stem].append((source, member))
    return dict(places)


def first_of(places: Places, file_name: str) -> tuple[bytes, str]:
    """Returns the content of an image file, and how an error message names it."""
    source, member = places[Path(file_name).stem][0]
    return source.read(member), source.where(member)


def inspect_images(wanted: Wanted, places: Places, *, workers: int, progress: bool) -> Inspection:
    """Compares the images with the CSV files, and decodes each to find damaged ones.

    Args:
        wanted: content of the CSV files.
        places: the images of the sources.
        workers: how many images to decode at once.
        progress: whether to show a bar on a terminal.
    """
    names = [f"{split}/{class_name}/{file_name}" for split, class_name, file_name in each(wanted)]
    present = [name for name in names if Path(name).stem in places]
    missing = [name for name in names if Path(name).stem not in places]
    others = places.keys() - {Path(name).stem for name in names}
    looks = in_parallel(lambda name: _look(places[Path(name).stem]), present, workers)
    shown = bar(looks, "Checking miniImagenet", len(present), "image", progress=progress)
    seen = dict(zip(present, shown, strict=True))
    finder, content = DuplicateFinder(), hashlib.sha256()
    for name, look in seen.items():
        if not look.fault:
            finder.add(name, look.pixels)
            content.update(name.encode("utf-8", "surrogateescape") + look.pixels)
    unreadable = {name: look.fault for name, look in seen.items() if look.fault}
    return Inspection(
        missing=missing,
        unreadable=unreadable,
        differing=[name for name, look in seen.items() if look.num_kinds > 1],
        repeated=[
            name
            for name, look in seen.items()
            if look.num_kinds == 1 and len(places[Path(name).stem]) > 1
        ],
        extra=sorted(source.where(member) for stem in others for source, member in places[stem]),
        duplicates=finder.pairs,
        unusable={*missing, *unreadable},
        digest=content.hexdigest(),
    )


@dataclass(frozen=True)
class _Look:
    """What was found under the name of one image.

    Attributes:
        pixels: digest of the pixels; empty if there is a fault.
        fault: why the image cannot be decoded; "" if it can.
        num_kinds: number of different files of this name; 1 if there is a fault.
    """

    pixels: bytes = b""
    fault: str = ""
    num_kinds: int = 1


def _look(there: list[tuple[ImageSource, str]]) -> _Look:
    try:
        files = [source.read(member) for source, member in there]
        image = decode(files[0], there[0][0].where(there[0][1]))
    except DataError as error:
        return _Look(fault=str(error))
    kind = f"{image.mode} {image.size} ".encode()
    return _Look(hashlib.sha256(kind + image.tobytes()).digest(), "", len(set(files)))


def usable(wanted: Wanted, found: Inspection) -> dict[str, dict[str, list[str]]]:
    """Returns the usable images; classes without any are left out.

    Raises:
        DataError: if a split has no usable images.
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
            f"No image of the {' and '.join(lacking)} split was found. Name the folder or archive "
            "that contains them with `sources` of `python -m data_prep miniimagenet`."
        )
    return left
