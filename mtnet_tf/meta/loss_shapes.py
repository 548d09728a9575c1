"""The values of a loss for each example, whatever the ranks of its labels and predictions.

Labels [n] and predictions [n, 1] broadcast to [n, n]: such a loss compares every example with every
other one. Nothing fails, and the number is wrong.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mtnet_tf._keras import graph_functions

# A Keras loss, or a function (labels, predictions) that returns one value per example.
TaskLoss = keras.losses.Loss | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# A number of examples that no other axis has. It is a prime, so that a product of it is noticed.
_NUM_EXAMPLES = 7919


def values_per_example(loss: TaskLoss, labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Calls a loss without its reduction, with labels and predictions of matching ranks.

    Keras' losses get arrays of one rank, see `align_ranks`. A user's function or loss class gets
    the arrays as they are if it computes with one example at a time, else arrays of one rank.

    Args:
        loss: a Keras loss, or a function (labels, predictions).
        labels: [n, ...].
        predictions: [n, ...].

    Returns:
        Tensor [n, ...], or with a multiple of n as its first axis.

    Raises:
        ValueError: if the loss returns anything else, or combines different examples.
    """
    function = _function(loss)
    if is_known(loss):
        labels, predictions = align_ranks(labels, predictions)
    else:
        labels, predictions = matching_pair(function, labels, predictions, "`loss`")
    values = tf.convert_to_tensor(function(labels, predictions))
    given, found = predictions.shape[0], values.shape[:1].as_list()
    if not found or (found[0] is not None and given is not None and found[0] % given):
        raise ValueError(
            "`loss` must return one value per example: a tensor [n], or [n, ...]. Received: "
            f"{_name(loss)}, which returns values of shape {values.shape} for labels of shape "
            f"{labels.shape} and predictions of shape {predictions.shape}. Remove its reduction "
            "over the examples."
        )
    return values


def matching_pair(
    function: Callable[[tf.Tensor, tf.Tensor], Any],
    labels: tf.Tensor,
    predictions: tf.Tensor,
    name: str,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels and predictions with which a function computes with one example at a time.

    These are the given ones, unless a last axis of size 1 makes their ranks differ. The function is
    then traced with a number of examples that no other axis has. If an operation in it has two axes
    of this size, it combines different examples.

    Args:
        function: function (labels, predictions) -> values of the examples, [n, ...].
        labels: [n, ...].
        predictions: [n, ...].
        name: the argument that the function was, for the message.

    Returns:
        Pair (labels, predictions), as given or as returned by `align_ranks`.

    Raises:
        ValueError: if the function combines different examples in both cases.
    """
    given, aligned = (labels, predictions), align_ranks(labels, predictions)
    if all(a is b for a, b in zip(given, aligned, strict=True)):
        return given
    separate = _keeps_examples_separate(function, *given)
    if separate:
        return given
    if _keeps_examples_separate(function, *aligned):
        return aligned
    if separate is False:
        raise ValueError(
            f"{name} must compare each prediction with its own label. Received: labels of shape "
            f"{labels.shape} and predictions of shape {predictions.shape}, but it combines "
            "different examples. Give both the same shape."
        )
    return given  # it cannot be traced, and will raise its own error


def align_ranks(labels: tf.Tensor, predictions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Removes or adds a last axis of size 1 if the ranks differ by 1, as Keras' losses do.

    Example:
    >>> labels, predictions = align_ranks(tf.zeros([5]), tf.zeros([5, 1]))
    >>> labels.shape
    TensorShape([5, 1])

    Args:
        labels: [n, ...].
        predictions: [n, ...].

    Returns:
        Pair (labels, predictions).
    """
    ranks = labels.shape.rank, predictions.shape.rank
    if None in ranks or abs(ranks[0] - ranks[1]) != 1:
        return labels, predictions
    larger = 0 if ranks[0] > ranks[1] else 1
    arrays = [labels, predictions]
    if arrays[larger].shape[-1] == 1:
        if arrays[1 - larger].shape.rank == 1:
            arrays[1 - larger] = arrays[1 - larger][:, None]
        else:
            arrays[larger] = tf.squeeze(arrays[larger], -1)
    return arrays[0], arrays[1]


def is_known(loss: TaskLoss) -> bool:
    """Whether a loss is one of Keras or of this package, not a function or class of the user."""
    function = _function(loss)
    module = getattr(getattr(function, "func", function), "__module__", None) or ""
    return module.split(".")[0] in ("keras", "mtnet_tf")


def _function(loss: TaskLoss) -> Callable[[tf.Tensor, tf.Tensor], Any]:
    """The loss without its reduction."""
    # `__call__` reduces over the whole batch, which would mix tasks.
    return loss.call if isinstance(loss, keras.losses.Loss) else loss


def _name(loss: Any) -> str:
    return getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)


def _keeps_examples_separate(
    function: Callable[[tf.Tensor, tf.Tensor], Any], labels: tf.Tensor, predictions: tf.Tensor
) -> bool | None:
    """Whether each value belongs to one example; None if the function cannot be traced."""
    specs = [
        tf.TensorSpec([_NUM_EXAMPLES, *part.shape[1:]], part.dtype)
        for part in (labels, predictions)
    ]
    try:
        trace = tf.function(function, autograph=False).get_concrete_function(*specs)
    except Exception:  # whatever a user's function raises for symbolic tensors
        return None
    result = trace.structured_outputs.shape
    graphs = [trace.graph, *(called.graph for called in graph_functions(trace.graph))]
    outputs = [t for graph in graphs for op in graph.get_operations() for t in op.outputs]
    if result.rank == 0 or (result.rank and result[0] and result[0] % _NUM_EXAMPLES):
        return False
    return not any(_num_axes_of_examples(tensor.shape) > 1 for tensor in outputs)


def _num_axes_of_examples(shape: tf.TensorShape) -> int:
    """How many factors of a shape are the number of examples."""
    sizes = [size for size in (shape if shape.rank else []) if size]
    return sum((size % _NUM_EXAMPLES == 0) + (size % _NUM_EXAMPLES**2 == 0) for size in sizes)
