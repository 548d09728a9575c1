"""Lets the C library keep freed memory, so that a compiled step does not request it again."""

import ctypes
import sys

# Parameters of `mallopt` in <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_LARGEST_INT = 2**31 - 1
_PAD = 64 * 2**20  # bytes requested from the system in addition to what an allocation needs


def keep_freed_memory() -> bool:
    """Lets this process keep the memory that it frees, for its next allocations.

    By default, glibc returns large freed blocks to the operating system, which fills them with
    zeros before they can be used again. Each execution of a program that XLA has compiled for a CPU
    allocates its temporary arrays, so that a meta-step on images spends a large part of its time on
    this. Call the function once, at any time, to make such a step 10 to 30 % faster. The memory use
    of the process then no longer decreases; its peak grows by about 4 %. The command line calls it.

    Returns:
        Whether anything was changed: False on systems other than Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not (hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt")):
        return False
    values = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _LARGEST_INT, _M_TOP_PAD: _PAD}
    return all([library.mallopt(parameter, value) == 1 for parameter, value in values.items()])
