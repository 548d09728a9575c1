"""Which classes are for training, validation and test."""

from typing import NamedTuple

import numpy as np

# Omniglot's 1,623 characters, as the authors' code divides them.
OMNIGLOT_SIZES = (1100, 100, 423)
# Of our own: the order of file systems, on which the authors' split depends, is no argument.
_SPLIT_SEED = 1


class Split(NamedTuple):
    """Class numbers, three disjoint arrays."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def split_classes(num_classes, sizes=OMNIGLOT_SIZES, *, class_split="maml", num_train_classes=-1):
    """Divides classes by a fixed, seeded shuffle of their sorted order.

    Args:
      num_classes: number of classes.
      sizes: train, val and test classes; scaled down in proportion where they don't sum to
        `num_classes`.
      num_train_classes: training classes to keep, drawn with the same seed; -1 for all.
      class_split: "maml", or "original" to swap val and test as the authors' MT-net code does.

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
