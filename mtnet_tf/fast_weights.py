"""The scope in which layers compute with per-task tensors instead of their variables.

A batch of B tasks with n examples each travels through the Keras model as ONE batch [B*n, ...].
Inside the scope, a layer that owns a task weight finds a tensor [B, *variable.shape] for it and
unfolds the batch; every layer that works example by example needs no change.
"""

import contextlib
import threading

_STATE = threading.local()


class FastWeights:
    """Per-task values of some variables, for `num_tasks` tasks folded into one batch."""

    def __init__(self, values, num_tasks):
        """Stores the values.

        Args:
          values: iterable of (variable, tensor [B, *variable.shape]).
          num_tasks: B, int or int tensor.
        """
        self._values = {id(variable): value for variable, value in values}
        self.num_tasks = num_tasks

    def get(self, variable):
        """The per-task tensor of `variable`, or None where its tasks all share one value."""
        return self._values.get(id(variable))


def active():
    """The innermost open `FastWeights`, or None outside of any scope."""
    stack = getattr(_STATE, "stack", ())
    return stack[-1] if stack else None


@contextlib.contextmanager
def fast_weights(values, num_tasks):
    """Opens a scope: layers called inside compute with `values`.

    Args:
      values: iterable of (variable, tensor [B, *variable.shape]).
      num_tasks: B, int or int tensor.

    Yields:
      The `FastWeights`.
    """
    if not hasattr(_STATE, "stack"):
        _STATE.stack = []
    _STATE.stack.append(FastWeights(values, num_tasks))
    try:
        yield _STATE.stack[-1]
    finally:
        _STATE.stack.pop()
