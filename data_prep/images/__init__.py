"""Decoding, converting and resizing of images.

May import: `errors`.
"""

from data_prep.images.decoding import MAX_BYTES, SUFFIXES, decode, fit
from data_prep.images.depth import REAL_BITS
from data_prep.images.drawings import (
    DECODE_ERRORS,
    RESAMPLINGS,
    Resampling,
    check_resampling,
    decode_png,
    ink,
    resize,
)
from data_prep.images.loading import Picture, load_picture

__all__ = [
    "DECODE_ERRORS",
    "MAX_BYTES",
    "REAL_BITS",
    "RESAMPLINGS",
    "SUFFIXES",
    "Picture",
    "Resampling",
    "check_resampling",
    "decode",
    "decode_png",
    "fit",
    "ink",
    "load_picture",
    "resize",
]
