"""The scope in which layers compute with per-task tensors instead of their variables.

A batch of B tasks with n examples each passes through the Keras model as ONE batch [B*n, ...].
Inside the scope, a layer that owns a task weight finds a tensor [B, *variable.shape] for it and
unflattens the batch. Layers that process examples independently need no change.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import keras
import tensorflow as tf

_STATE = threading.local()
# Mean and variance, [B, 1, C] each.
Statistics = tuple[tf.Tensor, tf.Tensor]
# Observer of a TW layer. It receives the layer, its rows [B, m, D] and its outputs [B, m, U] before
# the activation.
CellObserver = Callable[[keras.layers.Layer, tf.Tensor, tf.Tensor], None]


class SetStatistics:
    """Normalisation statistics of one pass through a model, to be reused in another.

    A new object records the statistics of every normalisation layer. Its `replay` returns them in
    the same order in place of the statistics of another set: a query set is then normalised with
    the statistics of its support set (inductive) instead of its own (transductive).

    Attributes:
        recorded: the statistics, in the order of the pass.
        layers: the layers that recorded them.
    """

    def __init__(self, recorded: list[Statistics] | None = None) -> None:
        """Creates a recorder, or a replay of recorded statistics."""
        self.recorded = [] if recorded is None else recorded
        self.layers: list[keras.layers.Layer] = []
        self._replayed = None if recorded is None else iter(recorded)

    @property
    def replays(self) -> bool:
        """True if this returns recorded statistics, False if it records."""
        return self._replayed is not None

    def replay(self) -> "SetStatistics":
        """The same statistics, for one more pass."""
        return SetStatistics(self.recorded)

    def choose(self, found: Statistics, layer: keras.layers.Layer) -> Statistics:
        """The statistics to normalise with: `found`, which is recorded, or those recorded before.

        Args:
            found: statistics of the set at hand.
            layer: the normalisation layer that calls this method.
        """
        if self._replayed is not None:
            return next(self._replayed)
        self.recorded.append(found)
        self.layers.append(layer)
        return found


@dataclasses.dataclass(frozen=True)
class SharedWeight:
    """A weight with the same value for all tasks, as before the first inner step.

    A layer multiplies the rows of all tasks by the one value, which is faster than one product for
    each task. The gradient with respect to `offsets` is that of the weight of each task.

    Attributes:
        value: [*shape].
        offsets: zeros, [B, *shape].
    """

    value: tf.Tensor
    offsets: tf.Tensor

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> "SharedWeight":
        """The result of a linear function of the last axes of the weight."""
        return SharedWeight(function(self.value), function(self.offsets))

    def of_tasks(self) -> tf.Tensor:
        """The weight of each task, [B, *shape]."""
        return self.value + self.offsets


def of_tasks(weight: tf.Tensor | SharedWeight) -> tf.Tensor:
    """The weight of each task, [B, *shape], whether or not they share it."""
    return weight.of_tasks() if isinstance(weight, SharedWeight) else weight


def shared_product(rows: tf.Tensor, kernel: SharedWeight) -> tf.Tensor:
    """`rows @ kernel.of_tasks()`, as one product of the rows of all tasks.

    Args:
        rows: [B, m, D].
        kernel: of shape [D, U].

    Returns:
        Tensor [B, m, U].
    """

    @tf.custom_gradient
    def function(rows: tf.Tensor, value: tf.Tensor, offsets: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            transposed = SharedWeight(tf.transpose(value), tf.linalg.matrix_transpose(offsets))
            return (
                shared_product(upstream, transposed),
                tf.matmul(_joined(rows), _joined(upstream), transpose_a=True),
                tf.matmul(rows, upstream, transpose_a=True),
            )

        products = _joined(rows) @ value
        shape = [*tf.unstack(tf.shape(rows)[:-1]), value.shape[-1]]
        return tf.reshape(products, shape), gradient

    return function(rows, kernel.value, kernel.offsets)


def _joined(rows: tf.Tensor) -> tf.Tensor:
    """[B, m, D] -> [B*m, D]."""
    return tf.reshape(rows, [-1, rows.shape[-1]])


class FastWeightScope:
    """The scope: layers called inside it compute with per-task values of some variables.

    Example:
    >>> import tensorflow as tf
    >>> from mtnet_tf.layers import TWDense
    >>> layer = TWDense(3)
    >>> layer.build((None, 2))
    >>> kernels = tf.ones([4, 2, 3])  # [B, D, U] for 4 tasks
    >>> with FastWeightScope([(layer.kernel, kernels)], num_tasks=4):
    ...     layer(tf.ones([20, 2])).shape  # 5 examples of each task
    TensorShape([20, 3])
    """

    def __init__(
        self,
        values: Iterable[tuple[keras.Variable, tf.Tensor | SharedWeight]],
        num_tasks: int | tf.Tensor,
        statistics: SetStatistics | None = None,
        on_cell: CellObserver | None = None,
    ) -> None:
        """Stores the values.

        Args:
            values: pairs (variable, tensor [B, *variable.shape] or `SharedWeight`).
            num_tasks: B.
            statistics: `SetStatistics` to record or to use; None: every set is normalised by its
                own statistics.
            on_cell: called by every TW layer with itself, the rows [B, m, D] that it multiplies by
                its kernel, and its outputs [B, m, U] before the activation; None for nothing.
        """
        self._values = {id(variable): value for variable, value in values}
        self.num_tasks = num_tasks
        self.statistics = statistics
        self.on_cell = on_cell

    def get(self, variable: keras.Variable) -> tf.Tensor | SharedWeight | None:
        """The per-task value of `variable`, or None if it does not adapt."""
        return self._values.get(id(variable))

    def __enter__(self) -> Self:
        """Opens the scope in this thread."""
        if not hasattr(_STATE, "stack"):
            _STATE.stack = []
        _STATE.stack.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the scope."""
        _STATE.stack.pop()


def active() -> FastWeightScope | None:
    """The innermost open scope of this thread, or None outside of any."""
    stack: Any = getattr(_STATE, "stack", ())
    return stack[-1] if stack else None
