"""MiniImagenet, and procedurally drawn textures that replace it.

May import: `preparation`, `packed`, `images`, `io`, `errors`.
"""

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
