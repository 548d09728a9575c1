"""Keeps compiled programs from one command to the next, with XLA's persistent cache."""

import atexit
import functools
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import tensorflow as tf

from data_prep.io import user_path
from mtnet_tf._version import versions
from mtnet_tf.experiments.program_store import ProgramStore
from mtnet_tf.experiments.settings import Settings
from mtnet_tf.experiments.terminal import say

OFF = "off"
# TensorFlow reads its flags when it lists its devices for the first time.
_FLAGS = "TF_XLA_FLAGS"
# If less is free, a program might not be written completely, which TensorFlow treats as an error.
_FREE_BYTES = 2**28
# Environment variables that change what XLA compiles.
_VARIABLES = (
    *("XLA_FLAGS", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC"),
    "TF_ENABLE_ONEDNN_OPTS",
)
# Fields of /proc/cpuinfo that describe a processor, and what it can do.
_CPU_FIELDS = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
)
# The store of this process, if there is one, and the TF_XLA_FLAGS of the user.
_stores: dict[ProgramStore, str] = {}


def start_compilation_cache(place: str | None, say: Callable[[str], None] = say) -> None:
    """Lets this process keep what it compiles; `load_compiled_programs` must follow.

    Only commands call this, before TensorFlow lists its devices, since it sets the environment
    variable TF_XLA_FLAGS. If the user has set a persistent cache there, that one is used. If the
    folder cannot be written, a note says so, and the command compiles as without a cache.

    Args:
        place: folder of compiled programs; "off" for no cache; None for `default_folder()`.
        say: function that prints a line.
    """
    flags = os.environ.get(_FLAGS, "").strip()
    is_file = flags and not flags.startswith("-")  # of flags, which the user maintains
    if place == OFF or _stores or is_file or "persistent_cache" in flags:
        return
    root = user_path(place or default_folder()).absolute()
    try:
        store = ProgramStore(root)
        atexit.register(_close, store)
        _check_free_space(root)
    except OSError as error:
        say(f"Compiled programs are not kept in {root}: {error}.")
        return
    option = f'--tf_xla_persistent_cache_directory="{store.private}"'
    os.environ[_FLAGS] = f"{flags} {option}".lstrip()
    _stores[store] = flags


def load_compiled_programs(settings: Settings, say: Callable[[str], None] = say) -> None:
    """Makes the programs of earlier commands available; without a cache, does nothing.

    Args:
        settings: settings of the run.
        say: function that prints a line.
    """
    for store, flags in list(_stores.items()):
        _try(store, lambda store=store, flags=flags: store.load(_key(settings, flags)), say)


def store_compiled_programs(say: Callable[[str], None] = say) -> None:
    """Keeps what was compiled until now, even if the process is killed later.

    Args:
        say: function that prints a line.
    """
    for store in list(_stores):
        _try(store, store.store, say)


def _try(store: ProgramStore, work: Callable[[], None], say: Callable[[str], None]) -> None:
    """Uses a store; if this fails, says so once and no longer uses it."""
    try:
        work()
    except OSError as error:
        del _stores[store]
        say(f"Compiled programs are not kept: {error}.")


def _close(store: ProgramStore) -> None:
    store_compiled_programs()
    store.close()


def _check_free_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES:
        raise OSError(f"only {free // 2**20} MB are free")


def default_folder() -> Path:
    """The folder of compiled programs in the user's cache."""
    return platformdirs.user_cache_path("mtnet_tf") / "compiled_programs"


def _key(settings: Settings, flags: str) -> str:
    """Names everything that a program depends on and that TensorFlow does not check itself.

    Args:
        settings: settings of the run.
        flags: TF_XLA_FLAGS of the user.
    """
    gpus = tf.config.list_physical_devices("GPU")
    values: dict[str, Any] = {
        "versions": versions(),
        "processor": _processor(),
        "cores": _number_of_cores(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "gpus": [tf.config.experimental.get_device_details(gpu) for gpu in gpus],
        "allow_tf32": settings.allow_tf32,
        "flags": flags,
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
    }
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _processor() -> list[str]:
    """The kind of processor, and the instructions that it knows."""
    found = [platform.system(), platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return found
    return found + [line for line in lines if line.partition(":")[0].strip() in _CPU_FIELDS]


def _number_of_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
