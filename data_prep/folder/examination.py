"""Decodes all images of a user's folder before anything is written."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from data_prep.errors import DataError
from data_prep.folder.layout import Layout
from data_prep.images import REAL_BITS, decode, fit
from data_prep.io import bar, in_parallel
from data_prep.packed import count, listed
from data_prep.preparation import DuplicateFinder


@dataclass(frozen=True)
class Examination:
    """What all images have in common.

    Attributes:
        is_grey: whether all images are grey.
        duplicates: pairs of images with the same pixels.
        by_range: names of the images with 16 bits per channel, by the number of bits in use.
    """

    is_grey: bool
    duplicates: list[list[str]]
    by_range: dict[int, list[str]]

    def notes(self, others: Sequence[str]) -> Iterator[str]:
        """Yields sentences for the user.

        Args:
            others: names of the files that are left out.
        """
        if others:
            yield f"Files without the suffix of an image, left out: {listed(others)}."
        if self.duplicates:
            pairs = [f"{second} = {first}" for first, second in self.duplicates]
            yield f"Images with the same pixels, all kept: {listed(pairs)}."
        if len(self.by_range) > 1:
            ranges = (f"{2**b - 1} in {listed(n, 2)}" for b, n in sorted(self.by_range.items()))
            yield (
                f"Images with 16 bits per channel have different ranges: white is "
                f"{'; '.join(ranges)}. If this is wrong, save them with 8 bits."
            )


class _Look(NamedTuple):
    """What was found in one file. Without a fault, `digest` identifies the pixels."""

    is_grey: bool = True
    digest: bytes = b""
    bits: int | None = None
    fault: str = ""


def examine(
    layout: Layout, shape: tuple[int, int, int], workers: int, progress: bool
) -> Examination:
    """Decodes all images.

    Args:
        layout: the folder.
        shape: (H, W, 3), the size in which images are compared.
        workers: how many images to decode at once.
        progress: whether to show a bar on a terminal.

    Raises:
        DataError: if images cannot be read. The message names the first ones.
    """
    source, finder = layout.source, DuplicateFinder()
    looks = in_parallel(lambda name: _look(layout, name, shape), source.names, workers)
    shown = bar(looks, "Checking images", count(layout.splits), "image", progress=progress)
    found = dict(zip(source.names, shown, strict=True))
    _check_faults({name: look.fault for name, look in found.items() if look.fault}, len(found))
    by_range: dict[int, list[str]] = {}
    for name, look in found.items():
        finder.add(name, look.digest)
        if look.bits:
            by_range.setdefault(look.bits, []).append(name)
    return Examination(all(look.is_grey for look in found.values()), finder.pairs, by_range)


def _look(layout: Layout, name: str, shape: tuple[int, int, int]) -> _Look:
    source = layout.source
    try:
        image = decode(source.read(name), source.where(name))
        pixels = fit(image, shape)
    except DataError as error:
        return _Look(fault=str(error))
    is_grey = bool((pixels == pixels[..., :1]).all())
    digest = hashlib.sha256(pixels.tobytes()).digest()
    return _Look(is_grey, digest, image.info.get(REAL_BITS))


def _check_faults(faults: dict[str, str], total: int) -> None:
    if faults:
        first, *others = faults
        more = f" {len(others):,} more of {total:,} images cannot be used: {listed(others)}."
        raise DataError(faults[first] + (more if others else ""))
