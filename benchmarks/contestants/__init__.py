"""The contestants: the same meta-step, written as a user of each framework would.

A module has `program(work, weights, batches, **options) -> Program`. Its first step must give the
loss and the meta-gradient at the initial weights, which is checked against ours before anything is
timed.
"""

import dataclasses
import importlib
import importlib.util
from typing import Any, Protocol

from benchmarks.work import Arrays, Work


class Program(Protocol):
    """A meta-training run that can be continued."""

    def first_step(self) -> tuple[float, Arrays]:
        """Runs one step; returns its loss and the gradient of every meta-parameter."""
        ...

    def run(self, steps: int) -> None:
        """Runs further steps, and waits for the last one."""
        ...

    def device(self) -> str:
        """Name of the device."""
        ...

    def device_memory(self) -> int:
        """Peak memory of the GPU in bytes; 0 on a CPU."""
        ...


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A row of the table.

    Attributes:
        title: what it is.
        module: name of the module here.
        packages: which packages must be installed.
        options: passed to `program`.
        methods: what it can do.
    """

    title: str
    module: str
    packages: tuple[str, ...]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    methods: tuple[str, ...] = ("mtnet", "maml")

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def program(self, work: Work, weights: Arrays, batches: list[Arrays]) -> Program:
        """Builds the program; imports its framework."""
        module = importlib.import_module(f"benchmarks.contestants.{self.module}")
        return module.program(work, weights, batches, **self.options)


CONTESTANTS = {
    "ours": Contestant("mtnet_tf", "ours", ("tensorflow",)),
    "jax_conv": Contestant("JAX, lax.conv", "jax_vmap", ("jax",), {"convolution": "lax"}),
    "jax_patches": Contestant("JAX, slices", "jax_vmap", ("jax",), {"convolution": "patches"}),
    "jax_loop": Contestant(
        "JAX, slices, loop of steps", "jax_vmap", ("jax",), {"convolution": "patches", "loop": True}
    ),
    "torch_vmap": Contestant("torch.func.vmap", "torch_vmap", ("torch",)),
    "torch_loop": Contestant("PyTorch, loop over tasks", "torch_loop", ("torch",)),
    "higher": Contestant("higher", "torch_higher", ("torch", "higher"), methods=("maml",)),
    "tf_original": Contestant("TensorFlow, original style", "tf_original", ("tensorflow",)),
}
