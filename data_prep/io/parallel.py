"""Works on many images at once.

Threads, not processes: Pillow and hashlib release the interpreter's lock in what
takes long, and a process would import the user's main module, TensorFlow included,
once more on each core. Nothing is left behind by a kill.
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
# Bounds what waits in memory when the taker of the results is the slower one.
_AHEAD = 16


def checked_workers(workers: int | None) -> int:
    """Returns how many images to work on at once; None means all cores of this process.

    Raises:
        DataError: the number is not positive.
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
    """Yields `function(item)` for each item, in order; what it raises is raised here.

    Pillow's warnings are silenced meanwhile, because those about unusual metadata say nothing a
    user could act on, and what is wrong with an image becomes a `DataError`.
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
