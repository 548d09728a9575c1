import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.io import allocator, keep_freed_memory

ROOT = Path(__file__).parents[3]
# Pages of 4 KiB that the system has to provide for the second of two equal allocations.
SECOND_ALLOCATION = """
import ctypes, resource
from data_prep.io import keep_freed_memory
{}
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
def use():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.c_void_p(library.malloc(ctypes.c_size_t(100 * 2**20)))
    library.memset(block, 1, ctypes.c_size_t(100 * 2**20))
    library.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
use()
print(use())
"""


def second_allocation(statement):
    program = SECOND_ALLOCATION.format(statement)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="needs Linux with glibc",
)
def test_memory_that_was_freed_is_used_again_without_asking_the_system():
    assert second_allocation("assert keep_freed_memory()") < 10
    assert second_allocation("") > 40  # huge pages need one request for 2 MiB


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_nothing_happens_on_other_systems(platform, monkeypatch):
    monkeypatch.setattr(allocator.sys, "platform", platform)
    assert keep_freed_memory() is False


def test_nothing_happens_with_other_c_libraries(monkeypatch):
    class Musl:
        def __init__(self, name):
            pass

    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", Musl)
    assert keep_freed_memory() is False
