"""Which classes are used for training, validation and test."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Omniglot's 1,623 characters, as the authors' code divides them.
OMNIGLOT_SIZES = (1100, 100, 423)
# The authors' split depends on the order in which a file system lists folders. This seed does not.
_SPLIT_SEED = 1


class Split(NamedTuple):
    """Class numbers, three disjoint int arrays in ascending order."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def split_classes(
    num_classes: int,
    sizes: Sequence[int] = OMNIGLOT_SIZES,
    *,
    class_split: str = "maml",
    num_train_classes: int = -1,
) -> Split:
    """Divides classes by a fixed, seeded shuffle of their sorted order.

    Example:
    >>> [len(part) for part in split_classes(10, sizes=(6, 1, 3))]
    [6, 1, 3]

    Args:
        num_classes: number of classes.
        sizes: number of train, val and test classes; scaled in proportion if they do not sum to
            `num_classes`.
        class_split: "maml", or "original" to swap val and test as the authors' MT-net code does.
        num_train_classes: training classes to keep, the first of the shuffled order; -1 for all.

    Returns:
        `Split`.

    Raises:
        ValueError: for an unknown `class_split`.
    """
    if class_split not in ("maml", "original"):
        raise ValueError(
            f"`class_split` must be 'maml' or 'original'. Received: class_split={class_split!r}."
        )
    order = np.random.default_rng(_SPLIT_SEED).permutation(num_classes)
    ends = np.round(np.cumsum(sizes) / sum(sizes) * num_classes).astype(int)
    train, val, test = np.split(order, ends[:2])
    if num_train_classes >= 0:
        train = train[:num_train_classes]
    train, val, test = (np.sort(part) for part in (train, val, test))
    return Split(train, test, val) if class_split == "original" else Split(train, val, test)
