"""Omniglot, and procedurally drawn characters that replace it.

May import: `preparation`, `packed`, `images`, `io`, `errors`.
"""

from data_prep.omniglot.prepare import (
    ensure_omniglot,
    prepare_omniglot,
    prepare_synthetic_omniglot,
)

__all__ = [
    "ensure_omniglot",
    "prepare_omniglot",
    "prepare_synthetic_omniglot",
]
