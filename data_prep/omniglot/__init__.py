"""TODO data_prep.omniglot."""

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
