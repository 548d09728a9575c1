"""Works on several images at once, in threads.

Threads suffice, because Pillow and hashlib release the interpreter's lock during long work.
Processes would import the user's main module, TensorFlow included, once per core, and could survive
a kill.
"""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from data_prep.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")
# Items per worker that may be in progress or finished; limits the memory if the caller uses the
# results more slowly than they are made.
_AHEAD = 16


def validate_workers(workers: int | None) -> int:
    """Returns how many images to process in parallel; None means all cores of this process.

    Raises:
        DataError: if the number is not positive.
    """
    if workers is None:
        has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
        return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    if workers < 1:
        raise DataError(f"`workers` must be positive. Received: workers={workers}.")
    return workers


def in_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order. An exception in `function` is raised here.

    Pillow's warnings are silenced meanwhile: a user can do nothing about unusual metadata, and a
    damaged image is reported as a `DataError`.

    >>> list(in_parallel(len, ["a", "bcd"], workers=2))
    [1, 3]

    Args:
        function: called from several threads.
        items: its arguments.
        workers: number of threads.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == workers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
