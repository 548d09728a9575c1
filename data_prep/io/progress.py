"""Progress bars."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def bar(
    items: Iterable[Any] | None, description: str, total: int, unit: str, *, progress: bool
) -> tqdm:
    """A progress bar, on a terminal only."""
    disable = None if progress else True
    return tqdm(items, desc=description, total=total, unit=unit, disable=disable)
