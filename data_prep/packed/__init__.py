"""Packed image arrays: reading, writing, splits, and the search for overlaps of splits.

May import: `io`, `errors`.
"""

from data_prep.packed.overlap import Overlap, find_overlap
from data_prep.packed.reading import PackedImages, is_packed, load_packed
from data_prep.packed.split_names import look_like_splits, name_splits, split_word
from data_prep.packed.splits import (
    SPLITS,
    check_disjoint,
    count,
    fill_splits,
    holds_splits,
    listed,
)
from data_prep.packed.writing import write_packed

__all__ = [
    "SPLITS",
    "Overlap",
    "PackedImages",
    "check_disjoint",
    "count",
    "fill_splits",
    "find_overlap",
    "holds_splits",
    "is_packed",
    "listed",
    "load_packed",
    "look_like_splits",
    "name_splits",
    "split_word",
    "write_packed",
]
