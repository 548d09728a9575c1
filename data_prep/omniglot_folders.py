"""The two folders made of Omniglot drawings: resized PNG files, and the packed array."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.archives import FolderSource
from data_prep.atomic import building
from data_prep.drawings import decode_png, ink, resize
from data_prep.errors import DataError
from data_prep.omniglot_sources import DRAWINGS_PER_CHARACTER, MAX_BYTES, Drawing, group_by_class
from data_prep.packed import write_packed

SIDE = 28
# In the resized folder; a dotfile, so that neither the original MAML code nor
# this package takes it for an alphabet.
MARKER_NAME = ".data_prep.json"
_MADE_BY = "mtnet_tf data_prep"


@dataclass(frozen=True)
class Plan:
    """What is to be made, and where.

    Attributes:
        data_dir: the folder both results go to.
        dataset: name of the data set; the folders are called after it.
        synthetic: whether the drawings are procedural.
        num_classes: number of characters.
        options: whatever else decides the pictures: `resampling`, `seed`, ...
    """

    data_dir: Path
    dataset: str
    synthetic: bool
    num_classes: int
    options: Mapping[str, Any]

    @property
    def resized(self) -> Path:
        """The folder of PNG files in the layout of the original MAML code."""
        return self.data_dir / f"{self.dataset}_resized"

    @property
    def packed(self) -> Path:
        """The folder of the packed array."""
        return self.data_dir / f"{self.dataset}_packed"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything two runs must agree on to give the same pictures."""
        return {"num_classes": self.num_classes, **self.options}


class _DuplicateFinder:
    """Notices pictures whose pixels were seen before."""

    def __init__(self) -> None:
        self._seen: dict[bytes, str] = {}
        self.pairs: list[list[str]] = []

    def add(self, name: str, pixels: bytes) -> None:
        first = self._seen.setdefault(hashlib.sha256(pixels).digest(), name)
        if first != name:
            self.pairs.append([first, name])


def read_marker(resized: Path) -> dict[str, Any] | None:
    """Returns what `write_resized` noted about a folder, or None if it is not ours."""
    try:
        marker = json.loads((resized / MARKER_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    ours = isinstance(marker, dict) and marker.get("made_by") == _MADE_BY
    return marker if ours else None


def write_resized(
    plan: Plan, drawings: Iterable[Drawing], *, replace: bool, progress: bool
) -> None:
    """Writes `plan.resized/<alphabet>/<character>/<drawing>.png` at 28x28.

    Args:
        plan: what to make.
        drawings: every drawing, class by class.
        replace: whether the folder is ours and may be replaced.
        progress: whether to show a bar on a terminal.
    """
    duplicates = _DuplicateFinder()
    with building(plan.resized, replace=replace) as build:
        for drawing in _bar(plan, "Resizing", drawings, progress=progress):
            duplicates.add(f"{drawing.class_name}/{drawing.file_name}", drawing.image.tobytes())
            folder = build / drawing.class_name
            folder.mkdir(parents=True, exist_ok=True)
            small = resize(drawing.image, SIDE, plan.options["resampling"])
            small.save(folder / drawing.file_name)
        marker = {
            "made_by": _MADE_BY,
            "settings": plan.settings,
            "duplicates": duplicates.pairs,
        }
        (build / MARKER_NAME).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")


def pack_resized(plan: Plan, *, replace: bool, progress: bool) -> None:
    """Packs `plan.resized` into `plan.packed`, ink 255 on paper 0.

    Args:
        plan: what to make.
        replace: whether a packed folder that is already there may be replaced.
        progress: whether to show a bar on a terminal.

    Raises:
        DataError: the resized folder is incomplete or damaged.
    """
    try:
        classes, pictures = _read_resized(plan, progress=progress)
    except DataError as error:
        raise DataError(f"{error} Or move `{plan.resized}` away to have it made again.") from error
    write_packed(
        plan.packed,
        pictures,
        class_names=list(classes),
        file_names=[[PurePosixPath(name).name for name in names] for names in classes.values()],
        image_shape=(SIDE, SIDE, 1),
        dataset=plan.dataset,
        synthetic=plan.synthetic,
        details={
            **plan.settings,
            "duplicates": _duplicates(plan.resized, classes, pictures),
        },
        replace=replace,
    )


def _read_resized(plan: Plan, *, progress: bool) -> tuple[dict[str, list[str]], list[np.ndarray]]:
    """Returns the member names by class, in order, and the pictures."""
    source = FolderSource(plan.resized, MAX_BYTES)
    classes = dict(sorted(group_by_class(source, plan.num_classes).items()))
    names = [name for members in classes.values() for name in members]
    mode = "1" if plan.options["resampling"] == "nearest" else "L"
    pictures = [
        ink(decode_png(source.read(name), source.where(name), (SIDE, SIDE), mode))
        for name in _bar(plan, "Packing", names, progress=progress)
    ]
    return classes, pictures


def _duplicates(
    resized: Path, classes: Mapping[str, list[str]], pictures: list[np.ndarray]
) -> list[list[str]]:
    marker = read_marker(resized)
    if marker is not None:
        return marker["duplicates"]
    # A folder made by the original script: only the small pictures are left to
    # compare, where a few more coincide than at 105x105.
    finder = _DuplicateFinder()
    names = (name for members in classes.values() for name in members)
    for name, picture in zip(names, pictures, strict=True):
        finder.add(name, picture.tobytes())
    return finder.pairs


def _bar(plan: Plan, verb: str, items: Iterable[Any], *, progress: bool) -> Iterable[Any]:
    return tqdm(
        items,
        desc=f"{verb} {plan.dataset}",
        total=plan.num_classes * DRAWINGS_PER_CHARACTER,
        unit="drawing",
        disable=None if progress else True,
    )
