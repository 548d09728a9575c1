"""A meta-loss and its gradient, computed from parts of the meta-batch.

The meta-loss is a mean over tasks. That of B tasks is therefore the sum, over the parts, of b / B
times the meta-loss of the b tasks of a part, and so is its gradient. Regularisers, which do not
depend on the tasks, then count once.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from mtnet_tf._keras import keras_mask, set_keras_mask
from mtnet_tf.meta.inner_loop import InnerTrajectory
from mtnet_tf.meta.meta_step import MetaLoss, count_tasks
from mtnet_tf.tasks import Episode

# From the episodes of some tasks to their mean loss and its gradients, which may be an empty list.
PartLoss = Callable[[Episode], tuple[MetaLoss, Sequence[tf.Tensor]]]


class PartialSum(NamedTuple):
    """What some tasks contribute to the result of a meta-batch.

    Attributes:
        terms: the value and the gradients, times the fraction of the tasks in the part.
        rows: dict of tensors with one row for each task or example: "predictions", "query_losses",
            a list of "support_losses", and a list of "masks" of the predictions, which has at most
            one.
    """

    terms: list[tf.Tensor]
    rows: dict[str, Any]


def accumulate(
    compute: PartLoss, episode: Episode, task_chunk: int | None
) -> tuple[MetaLoss, Sequence[tf.Tensor]]:
    """The meta-loss and its gradients, from at most `task_chunk` tasks at a time.

    Memory is needed for one chunk. The chunks are the iterations of a loop; the tasks that remain
    are processed after it.

    Args:
        compute: function from `Episode` to a pair (`MetaLoss`, gradients).
        episode: `Episode` of B tasks.
        task_chunk: largest number of tasks at a time; None for all.

    Returns:
        What `compute(episode)` returns, up to the order of summation. Its trajectory contains only
        losses if there are several chunks.
    """
    num_tasks = count_tasks(episode.support_y)
    if task_chunk is None or (isinstance(num_tasks, int) and num_tasks <= task_chunk):
        return compute(episode)

    def part(first: int | tf.Tensor, size: int | tf.Tensor, counted: int | tf.Tensor) -> PartialSum:
        return partial_sum(*compute(episode.take(first, size)), counted, num_tasks)

    full = num_tasks // task_chunk
    rest = num_tasks - full * task_chunk
    found = [_loop(lambda i: part(i * task_chunk, task_chunk, task_chunk), full)]
    if not isinstance(rest, int):
        # An unknown number may be 0. The last task is then computed once more, but not counted.
        size = tf.maximum(rest, 1)
        found.append(_first_tasks(part(num_tasks - size, size, rest), size, rest))
    elif rest:
        found.append(part(full * task_chunk, rest, rest))
    return result_of(_joined(found))


def partial_sum(
    result: MetaLoss,
    gradients: Sequence[tf.Tensor],
    counted: int | tf.Tensor,
    num_tasks: int | tf.Tensor,
) -> PartialSum:
    """The contribution of a part.

    Args:
        result: `MetaLoss` of the part.
        gradients: those of its value.
        counted: number of tasks in the part.
        num_tasks: number of tasks in the meta-batch.
    """
    fraction = tf.cast(counted, tf.float64) / tf.cast(num_tasks, tf.float64)
    terms = [tf.convert_to_tensor(t) for t in (result.value, *gradients)]
    mask = keras_mask(result.query_predictions)
    rows = {
        "predictions": result.query_predictions,
        "query_losses": result.query_losses,
        "support_losses": list(result.trajectory.support_losses),
        "masks": [] if mask is None else [mask],
    }
    return PartialSum([t * tf.cast(fraction, t.dtype) for t in terms], rows)


def result_of(whole: PartialSum) -> tuple[MetaLoss, list[tf.Tensor]]:
    """The `MetaLoss` and the gradients of a meta-batch, from the sum over its parts."""
    value, *gradients = whole.terms
    rows = whole.rows
    predictions = set_keras_mask(tf.identity(rows["predictions"]), next(iter(rows["masks"]), None))
    trajectory = InnerTrajectory([], list(rows["support_losses"]))
    return MetaLoss(value, predictions, rows["query_losses"], trajectory), gradients


def _first_tasks(found: PartialSum, size: tf.Tensor, counted: tf.Tensor) -> PartialSum:
    """The same sum with the rows of only the first `counted` of `size` tasks."""
    rows = tf.nest.map_structure(lambda r: r[: tf.shape(r)[0] // size * counted], found.rows)
    return found._replace(rows=rows)


def _joined(found: Sequence[PartialSum]) -> PartialSum:
    terms = [tf.add_n(list(t)) for t in zip(*[f.terms for f in found], strict=True)]
    rows = tf.nest.map_structure(lambda *r: tf.concat(r, 0), *[f.rows for f in found])
    return PartialSum(terms, rows)


def _loop(part: Callable[[int | tf.Tensor], PartialSum], count: int | tf.Tensor) -> PartialSum:
    """Adds up parts 0 to count - 1, one after the other."""
    if tf.executing_eagerly():
        return _joined([part(i) for i in range(int(count))])
    # Traced once, because the loop's variables must be created before its body is traced.
    traced = tf.function(part, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int32))
    terms, rows = traced.structured_outputs
    arrays = [
        tf.TensorArray(r.dtype, size=count, element_shape=r.shape, infer_shape=False)
        for r in tf.nest.flatten(rows)
    ]

    def body(i: tf.Tensor, terms: list[tf.Tensor], arrays: list[tf.TensorArray]) -> tuple:
        found = traced(i)
        terms = [a + b for a, b in zip(terms, found.terms, strict=True)]
        pairs = zip(arrays, tf.nest.flatten(found.rows), strict=True)
        return i + 1, terms, [array.write(i, row) for array, row in pairs]

    zeros = [tf.zeros(t.shape, t.dtype) for t in terms]
    start = (tf.constant(0), zeros, arrays)
    _, terms, arrays = tf.while_loop(lambda i, *_: i < count, body, start, parallel_iterations=1)
    found = [_join_first_axes(array.stack()) for array in arrays]
    return PartialSum(terms, tf.nest.pack_sequence_as(rows, found))


def _join_first_axes(x: tf.Tensor) -> tf.Tensor:
    """[k, n, ...] -> [k*n, ...], also without any elements."""
    shape = tf.shape(x)
    return tf.reshape(x, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
