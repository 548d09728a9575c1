"""TODO data_prep.miniimagenet."""

from data_prep.miniimagenet.prepare import (
    ensure_miniimagenet,
    prepare_miniimagenet,
    prepare_synthetic_miniimagenet,
)

__all__ = [
    "ensure_miniimagenet",
    "prepare_miniimagenet",
    "prepare_synthetic_miniimagenet",
]
