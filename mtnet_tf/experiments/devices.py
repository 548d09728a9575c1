"""The devices and processes that share the work of a run: `--distribute`."""

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from mtnet_tf.experiments.run_folder import Run

# What TensorFlow raises in a process that waits for another one that has stopped.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


class WorkerLostError(RuntimeError):
    """Another process of the same run has stopped."""


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices of a run, and the place of this process among its workers.

    Attributes:
        strategy: strategy of `tf.distribute`; None for one device.
        worker: index of this process; 0 is the chief, which writes the run folder.
    """

    strategy: tf.distribute.Strategy | None = None
    worker: int = 0

    @classmethod
    def of(cls, distribute: str, num_devices: int = 0) -> "Devices":
        """Finds the devices. For several workers, waits until all of them have started.

        Args:
            distribute: "none", "mirrored" for the GPUs of this machine (or its processor, divided
                into logical devices), or "multi_worker" for the machines in the environment
                variable TF_CONFIG.
            num_devices: number of devices for "mirrored"; 0 for all.

        Raises:
            ValueError: if there are not enough devices, TF_CONFIG does not describe the workers, or
                TensorFlow has already started to compute.
            WorkerLostError: if another worker stops.
        """
        if distribute == "none":
            return cls()
        if distribute == "mirrored":
            return cls(tf.distribute.MirroredStrategy(_device_names(num_devices)))
        worker = _worker_index()
        with _explained():
            return cls(tf.distribute.MultiWorkerMirroredStrategy(), worker)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder and prints."""
        return self.worker == 0

    @property
    def has_workers(self) -> bool:
        """Whether several processes take part."""
        return isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Creates variables on every device; explains the error if another worker stops.

        Raises:
            WorkerLostError: if TensorFlow reports that another worker has stopped.
        """
        inner = contextlib.nullcontext() if self.strategy is None else self.strategy.scope()
        explained = _explained() if self.has_workers else contextlib.nullcontext()
        with explained, inner:
            yield

    def agree(self, number: int) -> int:
        """The chief's number, in every worker, when all of them have arrived here.

        Args:
            number: what this worker proposes.
        """
        if not self.has_workers:
            return number
        strategy: Any = self.strategy

        def chosen() -> tf.Tensor:
            own = tf.constant(number if self.is_chief else 0)
            return tf.distribute.get_replica_context().all_reduce("SUM", own)

        with _explained():
            found = strategy.run(tf.function(chosen))
            first = strategy.experimental_local_results(found)[0]
        # Each device of the chief contributes the number.
        per_worker = strategy.num_replicas_in_sync // _num_workers()
        return int(first) // per_worker

    @contextlib.contextmanager
    def written(self, run: Run) -> Iterator[Run]:
        """The run folder to write: a temporary one for workers other than the chief."""
        if self.is_chief:
            yield run
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Run(Path(folder) / run.path.name)


ONE_DEVICE = Devices()


def _device_names(count: int) -> list[str]:
    """The names of the first devices; of all of them if the count is 0."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and count > 1:
        processor = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration()] * count
        try:
            tf.config.set_logical_device_configuration(processor, logical)
        except RuntimeError as error:
            raise ValueError(
                "`num_devices` must be set before TensorFlow computes anything, because the "
                f"processor is then divided into devices. Received: num_devices={count}."
            ) from error
    names = [d.name for d in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
    if count > len(names):
        raise ValueError(
            f"`num_devices` must not exceed the number of GPUs, {len(names)}. "
            f"Received: num_devices={count}."
        )
    return names[: count or None]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        raise WorkerLostError(
            "Another worker of this run has stopped or cannot be reached. Start all workers again "
            "with the same command to continue from the newest checkpoint."
        ) from error


def _cluster() -> dict[str, Any]:
    """TF_CONFIG as a dict.

    Raises:
        ValueError: if it does not name at least one worker, and which of them this process is.
    """
    text = os.environ.get("TF_CONFIG", "")
    config: dict[str, Any] = {}
    try:
        config = json.loads(text or "{}")
        workers, task = config["cluster"]["worker"], config["task"]
        valid = task["type"] == "worker" and 0 <= int(task["index"]) < len(workers)
        valid = valid and config["cluster"].keys() == {"worker"}
    except (ValueError, KeyError, TypeError, AttributeError):
        valid = False
    if not valid:
        raise ValueError(
            "`distribute=multi_worker` requires the environment variable TF_CONFIG to name all "
            'workers and this one, as in {"cluster": {"worker": ["host1:port", "host2:port"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: TF_CONFIG={text or "nothing"}.'
        )
    return config


def _worker_index() -> int:
    return int(_cluster()["task"]["index"])


def _num_workers() -> int:
    return len(_cluster()["cluster"]["worker"])
