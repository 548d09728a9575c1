"""The two steps of every preparation: a folder of images, and packed arrays made from it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.errors import DataError, os_errors_explained
from data_prep.io import exclusive, is_vacant, recover, was_interrupted
from data_prep.packed import load_packed

# In the folder of images. It is a hidden file, so that neither the original MAML code nor this
# package mistakes it for a class.
MARKER_NAME = ".data_prep.json"
_MADE_BY = "mtnet_tf data_prep"


@dataclass(frozen=True)
class Plan:
    """Results of a preparation, and where they are written.

    Attributes:
        data_dir: the folder that contains both results.
        dataset: name of the data set.
        synthetic: whether the images are procedurally drawn.
        folder_name: name of the folder of images, in the layout of the original MAML code.
        settings: everything that determines the images. Equal settings give equal images.
        parts: folders of packed arrays inside the packed folder; "" stands for that folder itself.
    """

    data_dir: Path
    dataset: str
    synthetic: bool
    folder_name: str
    settings: Mapping[str, Any]
    parts: tuple[str, ...] = ("",)

    @property
    def folder(self) -> Path:
        """The folder of images."""
        return self.data_dir / self.folder_name

    @property
    def packed(self) -> Path:
        """The folder of the packed arrays."""
        return self.data_dir / f"{self.dataset}_packed"


def read_marker(folder: Path) -> dict[str, Any] | None:
    """Returns what `write_marker` wrote into a folder, or None if another program created it."""
    try:
        marker = json.loads((folder / MARKER_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    ours = isinstance(marker, dict) and marker.get("made_by") == _MADE_BY
    return marker if ours else None


def write_marker(folder: Path, **notes: Any) -> None:
    """Marks a folder as created by this package.

    Args:
        folder: a folder that is being built.
        **notes: values to store with it, as JSON.
    """
    marker = {"made_by": _MADE_BY, **notes}
    (folder / MARKER_NAME).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")


class DuplicateFinder:
    """Finds images with the same pixels.

    >>> finder = DuplicateFinder()
    >>> for name, pixels in (("a", b"1"), ("b", b"2"), ("c", b"1")):
    ...     finder.add(name, pixels)
    >>> finder.pairs
    [['a', 'c']]

    Attributes:
        pairs: name of the first image with certain pixels, and name of a later one.
    """

    def __init__(self) -> None:
        """Starts without images."""
        self._seen: dict[bytes, str] = {}
        self.pairs: list[list[str]] = []

    def add(self, name: str, pixels: bytes) -> None:
        """Adds an image.

        Args:
            name: its name.
            pixels: its pixels, or a digest of them.
        """
        first = self._seen.setdefault(hashlib.sha256(pixels).digest(), name)
        if first != name:
            self.pairs.append([first, name])


def prepare(
    plan: Plan,
    write: Callable[[bool], None],
    pack: Callable[[bool], None],
    *,
    accept_foreign: bool,
    force: bool,
) -> Path:
    """Creates `plan.folder`, and `plan.packed` from it, unless they exist.

    Args:
        plan: what to create.
        write: creates the folder of images. Its argument is whether it may replace an existing one.
        pack: creates the packed folder from the folder of images. Its argument is the same.
        accept_foreign: whether to use a folder of images that another program created.
        force: create both again.

    Returns:
        The packed folder.

    Raises:
        DataError: if the preparation fails; the message states how to fix it.
    """
    with os_errors_explained(plan.data_dir):
        folders = (plan.folder, plan.packed)
        if not force and not any(map(was_interrupted, folders)) and _is_ready(plan):
            return plan.packed
        with exclusive(plan.data_dir):
            for folder in folders:
                recover(folder)
            # Another process may have created it while this one waited.
            if force or not _is_ready(plan):
                _build(plan, write, pack, accept_foreign=accept_foreign, force=force)
    return plan.packed


def is_prepared(packed: Path) -> bool:
    """Whether a packed folder is complete and no build of it was interrupted."""
    return not is_vacant(packed) and not was_interrupted(packed)


def _build(
    plan: Plan,
    write: Callable[[bool], None],
    pack: Callable[[bool], None],
    *,
    accept_foreign: bool,
    force: bool,
) -> None:
    marker = read_marker(plan.folder)
    foreign = marker is None and not is_vacant(plan.folder)
    if foreign and not accept_foreign:
        raise DataError(
            f"`{plan.folder}` was not created by data_prep and is in the way. "
            "Move it away, or choose another `data_dir`."
        )
    if marker is not None and not force:
        _check_settings(plan, plan.folder, marker["settings"])
    if not foreign and (marker is None or force):
        write(marker is not None)
    pack(force)


def _is_ready(plan: Plan) -> bool:
    """Whether the packed folder exists.

    The folder of images may be missing: its files can be deleted once they are packed.

    Raises:
        DataError: if the packed folder is damaged or was created with other settings.
    """
    if is_vacant(plan.packed):
        return False
    for part in plan.parts:
        _check_settings(plan, plan.packed, load_packed(plan.packed / part).details)
    if marker := read_marker(plan.folder):
        _check_settings(plan, plan.folder, marker["settings"])
    return True


def _check_settings(plan: Plan, folder: Path, found: Mapping[str, Any]) -> None:
    wanted = plan.settings
    for key in wanted:
        if found.get(key) != wanted[key]:
            raise DataError(
                f"`{folder}` was prepared with {key}={found.get(key)}, but {key}={wanted[key]} "
                f"is requested. Prepare it again with `force=True` and the same options, or choose "
                "another `data_dir`."
            )
