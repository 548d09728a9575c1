"""The scope in which layers compute with per-task tensors instead of their variables.

A batch of B tasks with n examples each travels through the Keras model as ONE batch [B*n, ...].
Inside the scope, a layer that owns a task weight finds a tensor [B, *variable.shape] for it and
unfolds the batch; every layer that works example by example needs no change.
"""

import threading
from typing import Any, NamedTuple

_STATE = threading.local()


class CellPass(NamedTuple):
    """What went through a TW layer, for whoever needs its curvature.

    Attributes:
      rows: [B, m, D], what met the kernel.
      outputs: [B, m, U], before the activation.
    """

    rows: Any
    outputs: Any


class FastWeightScope:
    """The scope: layers called inside it compute with per-task values of some variables.

    Example:
    >>> with FastWeightScope([(layer.kernel, kernels)], num_tasks=4):  # kernels [4, D, U]
    ...     outputs = layer(inputs)  # [4*n, D] -> [4*n, U]
    """

    def __init__(self, values, num_tasks, statistics=None, cells=None):
        """Stores the values.

        Args:
          values: iterable of (variable, tensor [B, *variable.shape]).
          num_tasks: B, int or int tensor.
          statistics: `SetStatistics`; None: every set is normalised by its own.
          cells: list to which every TW layer appends its `CellPass`, None for none.
        """
        self._values = {id(variable): value for variable, value in values}
        self.num_tasks = num_tasks
        self.statistics = statistics
        self.cells = cells

    def get(self, variable):
        """The per-task tensor of `variable`, or None where its tasks all share one value."""
        return self._values.get(id(variable))

    def __enter__(self):
        """Opens the scope in this thread."""
        if not hasattr(_STATE, "stack"):
            _STATE.stack = []
        _STATE.stack.append(self)
        return self

    def __exit__(self, *exception):
        """Closes the scope."""
        _STATE.stack.pop()


def active():
    """The innermost open `FastWeightScope`, or None outside of any scope."""
    stack = getattr(_STATE, "stack", ())
    return stack[-1] if stack else None


class SetStatistics:
    """Normalisation statistics of one pass through a model, to be used again in another.

    A new one records what every normalisation finds; `replay` of it puts the same, in the same
    order, in place of what another set would give: a query set is then normalised by its support
    set (inductive) and not by itself (transductive). `layers` are those that recorded.
    """

    def __init__(self, recorded=None):
        """Creates a recorder, or with a list of recorded statistics a replay."""
        self.recorded = [] if recorded is None else recorded
        self.layers = []
        self._replayed = None if recorded is None else iter(recorded)

    @property
    def replays(self):
        """True if it puts recorded statistics in place, False if it records."""
        return self._replayed is not None

    def replay(self):
        """The same statistics, for one more pass."""
        return SetStatistics(self.recorded)

    def choose(self, found, layer):
        """What to normalise with: `found` (recorded), or what was recorded before.

        Args:
          found: tensors that the set at hand gives.
          layer: that asks.
        """
        if self.replays:
            return next(self._replayed)
        self.recorded.append(found)
        self.layers.append(layer)
        return found
