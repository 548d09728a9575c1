"""The replicas of a `tf.distribute` strategy, which share the tasks of each meta-batch.

Data flow of one step, in every replica at once:

    data of the whole meta-batch, or its number -> episodes of this replica's tasks
      -> compiled program: meta-loss, gradients, predictions -> one sum over all replicas
      -> optimizer step and metrics of the whole meta-batch, the same ones in every replica

The sum and the optimizer are outside the compiled program, because XLA cannot reduce over replicas
that TensorFlow manages.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import keras
import tensorflow as tf

from mtnet_tf._keras import (
    copy_optimizer,
    flatten_layers,
    was_created_in,
    without_own_reduction,
)
from mtnet_tf.meta import MetaLoss, PartialSum, count_tasks, partial_sum, result_of
from mtnet_tf.tasks import Episode, Part, TaskDistribution, read_episode

T = TypeVar("T")
# From the episodes of some tasks and the seed of the masks to their mean loss and its gradients.
LossOfPart = Callable[[Episode, tf.Tensor], tuple[MetaLoss, Sequence[tf.Tensor]]]
_SUPPORTED = (
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
    tf.distribute.OneDeviceStrategy,
)


class Replicas:
    """Divides meta-batches among replicas, and adds up what they compute.

    The tasks of a meta-batch, and their masks, depend on their index in it. Several replicas
    therefore compute what one does, up to the order of summation. Every replica receives the whole
    meta-batch, or its number, and processes consecutive tasks of it.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        """Stores the strategy.

        Args:
            strategy: `MirroredStrategy`, `MultiWorkerMirroredStrategy` or `OneDeviceStrategy`.

        Raises:
            ValueError: for any other strategy.
        """
        if not isinstance(strategy, _SUPPORTED):
            raise ValueError(
                "The strategy of `tf.distribute` must be MirroredStrategy, "
                "MultiWorkerMirroredStrategy or OneDeviceStrategy. "
                f"Received: {type(strategy).__name__}."
            )
        self.strategy = strategy
        self.count = strategy.num_replicas_in_sync

    @classmethod
    def of(cls, model: keras.Model) -> "Replicas | None":
        """The replicas of the present scope or, outside of any, of a model; None without any.

        Raises:
            ValueError: if the model was created in another scope, or if the strategy is not
                supported.
        """
        found = [getattr(v.value, "distribute_strategy", None) for v in model.variables]
        own = [strategy for strategy in found if strategy is not None]
        if not tf.distribute.has_strategy():
            return cls(own[0]) if own else None
        replicas = cls(strategy := tf.distribute.get_strategy())
        is_complete = len(own) == len(model.variables) and all(s is strategy for s in own)
        if not is_complete and not isinstance(strategy, tf.distribute.OneDeviceStrategy):
            raise ValueError(
                "`model` must be created in the `strategy.scope()` in which its learner is "
                f"created. Received: {model.name}, whose variables were created outside of it."
            )
        return replicas

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Creates variables for every replica.

        Those that belong to one replica, such as the sums of a metric, are read from the first:
        each replica updates them with the whole meta-batch.
        """

        def create(next_creator: Callable[..., tf.Variable], **options: Any) -> tf.Variable:
            if options.get("synchronization") == tf.VariableSynchronization.ON_READ:
                options["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
            return next_creator(**options)

        with self.strategy.scope(), tf.variable_creator_scope(create):
            yield

    def adopt_optimizer(self, optimizer: Any) -> Any:
        """The same optimizer with variables for every replica; call it in `scope`.

        Raises:
            ValueError: if it accumulates or scales gradients, which needs steps of its own.
        """
        optimizer = keras.optimizers.get(optimizer)
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if scales or optimizer.gradient_accumulation_steps:
            raise ValueError(
                "`optimizer` must not accumulate gradients or scale the loss if its learner was "
                f"created in the scope of a strategy. Received: {optimizer.name}. Use a larger "
                "meta-batch, with `task_chunk` if it needs too much memory."
            )
        if not was_created_in(self.strategy, optimizer):
            optimizer = copy_optimizer(optimizer)
        return without_own_reduction(optimizer)

    def adopt_metrics(self, metrics: Any) -> Any:
        """A structure of metrics with variables for every replica; call it in `scope`."""

        def adopt(metric: Any) -> Any:
            if not isinstance(metric, keras.metrics.Metric):
                return metric
            return type(metric).from_config(metric.get_config())

        return keras.tree.map_structure(adopt, metrics)

    def run(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        """Calls a function in every replica, and returns the result of the first one here."""
        found = self.strategy.run(function, args=args)
        return tf.nest.map_structure(
            lambda x: self.strategy.experimental_local_results(x)[0], found
        )

    def episode(
        self,
        sampled: tuple[TaskDistribution, int] | None,
        data: Any,
        seed: tf.Tensor,
        jit_compile: bool,
    ) -> Episode:
        """The episodes of this replica's tasks.

        Args:
            sampled: (distribution to sample from, B), or None.
            data: episodes of all tasks, if they are not sampled here.
            seed: stateless seed of the sample, int32 [2].
            jit_compile: samples with XLA, so that the numbers are those of a single device.
        """
        if sampled is None:
            whole = read_episode(data)
            return whole.take(*self.part(count_tasks(whole.support_y))[:2])
        tasks, num_tasks = sampled
        part = self.part(num_tasks)

        def sample(seed: tf.Tensor) -> Episode:
            return read_episode(tasks.sample_part(seed, part))._replace(part=None)

        if tf.executing_eagerly():
            return sample(seed)._replace(part=part)
        traced = tf.function(sample, autograph=False).get_concrete_function(seed)
        # Variables, such as the images of a data set, may be on another device than this replica.
        # XLA could not read them then; TensorFlow copies what it has read.
        if not traced.graph.variables:
            sample = tf.function(sample, autograph=False, jit_compile=jit_compile)
        return sample(seed)._replace(part=part)

    def compute(
        self, function: LossOfPart, episode: Episode, seed: tf.Tensor, jit_compile: bool
    ) -> tuple[MetaLoss, Sequence[tf.Tensor], tf.Tensor]:
        """The result of a whole meta-batch; call it in every replica.

        Args:
            function: from `Episode` and the seed of the masks to a pair (`MetaLoss`, gradients).
            episode: `Episode` of this replica's `part`.
            seed: stateless seed, int32 [2].
            jit_compile: compiles the function with XLA.

        Returns:
            Tuple (`MetaLoss`, gradients, query labels).
        """
        part = cast(Part, episode.part)
        counted = self._share(part.total)[1]

        def partial(sets: Episode, seed: tf.Tensor) -> PartialSum:
            return partial_sum(*function(sets._replace(part=part), seed), counted, part.total)

        if not tf.executing_eagerly():
            partial = tf.function(partial, jit_compile=jit_compile, autograph=False)
        found = partial(episode._replace(part=None), seed)
        found.rows["labels"] = episode.query_y
        found = self._sum(found, part, counted)
        labels = found.rows.pop("labels")
        return *result_of(found), labels

    def compile_function(
        self, function: Callable[..., T], jit_compile: bool
    ) -> Callable[[Sequence[tuple[Any, ...]]], list[T]]:
        """See `EpisodicLearner.compile_function`."""

        def call_own(calls: list[tuple[Any, ...]]) -> T:
            number = _replica_number()
            compiled = tf.function(function, jit_compile=jit_compile, autograph=False)

            def place(x: tf.Tensor) -> tf.Tensor:
                """[...] -> [count, ...], with zeros for the calls of the others."""
                return tf.pad(
                    x[None], [[number, self.count - 1 - number]] + [[0, 0]] * x.shape.rank
                )

            return _all_reduce(tf.nest.map_structure(place, compiled(*calls[number])))

        @tf.function(autograph=False)
        def call_all(calls: list[tuple[Any, ...]]) -> T:
            return self.run(call_own, (calls,))

        def call(calls: Sequence[tuple[Any, ...]]) -> list[T]:
            found = call_all(list(calls))
            return [tf.nest.map_structure(lambda x, i=i: x[i], found) for i in range(self.count)]

        return call

    def part(self, num_tasks: int | tf.Tensor) -> Part:
        """The tasks of this replica; the last task if there are fewer tasks than replicas.

        Args:
            num_tasks: B.
        """
        first, counted = self._share(num_tasks)
        if isinstance(num_tasks, int):
            return Part(min(first, num_tasks - 1), max(counted, 1), num_tasks)
        return Part(tf.minimum(first, num_tasks - 1), tf.maximum(counted, 1), num_tasks)

    def _share(self, num_tasks: Any) -> tuple[Any, Any]:
        """(index of the first task, number of tasks) of this replica."""
        number = _replica_number()
        first = number * num_tasks // self.count
        return first, (number + 1) * num_tasks // self.count - first

    def _sum(self, partial: PartialSum, part: Part, counted: Any) -> PartialSum:
        """The sum of what all replicas computed; rows are put in the order of the tasks."""

        def place(row: tf.Tensor) -> tf.Tensor:
            """[size*k, ...] -> [total*k, ...], with zeros for the tasks of others."""
            k = (row.shape[0] or tf.shape(row)[0]) // part.size
            before, rest = part.first * k, (part.total - part.first - counted) * k
            paddings = [[before, rest]] + [[0, 0]] * (row.shape.rank - 1)
            kept = row[: counted * k]
            return tf.pad(tf.cast(kept, tf.int32) if row.dtype == tf.bool else kept, paddings)

        rows = tf.nest.map_structure(place, partial.rows)
        found = _all_reduce(PartialSum(partial.terms, rows))
        rows = tf.nest.map_structure(lambda x, y: tf.cast(x, y.dtype), found.rows, partial.rows)
        return PartialSum(found.terms, rows)


def check_independent_tasks(model: keras.Model, divided_by: str) -> None:
    """Checks that a model computes the same for some tasks of a meta-batch as for all of them.

    Args:
        model: Keras model.
        divided_by: what divides the meta-batch, for the message.

    Raises:
        ValueError: if a layer normalises over the examples of all tasks.
    """
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise ValueError(
                f"`model` must not normalise over several tasks with {divided_by}, because its "
                "statistics would be those of a part of the meta-batch. Received: the layer "
                f"{layer.name} of class BatchNormalization. Use TaskBatchNormalization, or convert "
                "the model with `to_mtnet`."
            )


def _all_reduce(values: T) -> T:
    """The sum over all replicas of each tensor of a structure, in one reduction per dtype."""
    context = tf.distribute.get_replica_context()
    flat = tf.nest.flatten(values)
    for dtype in {x.dtype: None for x in flat}:
        places = [i for i, x in enumerate(flat) if x.dtype == dtype]
        found = context.all_reduce(tf.distribute.ReduceOp.SUM, [flat[i] for i in places])
        for i, total in zip(places, found, strict=True):
            flat[i] = total
    return tf.nest.pack_sequence_as(values, flat)


def _replica_number() -> int:
    context = tf.distribute.get_replica_context()
    number = context.replica_id_in_sync_group
    return int(tf.get_static_value(number))
