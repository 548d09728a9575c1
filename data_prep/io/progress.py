"""The progress bar of every package."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def bar(
    items: Iterable[Any] | None, description: str, total: int, unit: str, *, progress: bool
) -> tqdm:
    """Returns a progress bar, which is shown only on a terminal.

        for image in bar(images, "Packing", len(images), "image", progress=True):
            ...

    Args:
        items: what to iterate over; None if the caller reports progress with `update`.
        description: text in front of the bar.
        total: number of items.
        unit: what an item is, in the singular. "B" stands for bytes, shown as kB, MB, ...
        progress: whether to show the bar. False shows nothing, even on a terminal.

    Returns:
        An iterable over `items`, and a context manager that closes the bar.
    """
    disable = None if progress else True
    scale = unit == "B"
    return tqdm(items, desc=description, total=total, unit=unit, unit_scale=scale, disable=disable)
