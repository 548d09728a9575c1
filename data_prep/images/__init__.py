"""Decoding, converting and resizing of images.

May import: `errors`.
"""

from data_prep.images.decoding import MAX_BYTES, SUFFIXES, decode, fit, load_picture
from data_prep.images.drawings import (
    DECODE_ERRORS,
    RESAMPLINGS,
    Resampling,
    check_resampling,
    decode_png,
    ink,
    resize,
)

__all__ = [
    "DECODE_ERRORS",
    "MAX_BYTES",
    "RESAMPLINGS",
    "SUFFIXES",
    "Resampling",
    "check_resampling",
    "decode",
    "decode_png",
    "fit",
    "ink",
    "load_picture",
    "resize",
]
