"""`EpisodicLearner`: a Keras model that is trained on tasks, by any method."""

import abc
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

import keras
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf._keras import batch_counter, build_metrics, check_keras_model, loss_tracker
from mtnet_tf.layers import validate_integer
from mtnet_tf.learners.episodic_model import EpisodicModel
from mtnet_tf.learners.replicas import Replicas, check_independent_tasks
from mtnet_tf.meta import (
    MetaLoss,
    TaskLoss,
    accumulate,
    flatten_tasks,
    matching_pair,
    single_output,
    value_and_gradients,
)
from mtnet_tf.tasks import Episode, Examples, Part, Role

T = TypeVar("T")
# Role -> (purpose of its task seeds, purpose of its mask seeds).
_PURPOSES = {
    "train": (seeds.Purpose.TRAIN_TASKS, seeds.Purpose.TRAIN_MASKS),
    "test": (seeds.Purpose.VALIDATION_TASKS, seeds.Purpose.VALIDATION_MASKS),
}
# From query inputs [B, m, ...] and the statistics to use, or None, to predictions [B*m, ...].
Predictor = Callable[..., tf.Tensor]
# What a compiled train or test function contains as constants.
_COMPILED_IN = (
    *("steps_per_execution", "num_inner_steps", "step_size"),
    *("update_rule", "first_order", "redraw_masks", "task_chunk"),
)


class EpisodicLearner(EpisodicModel):
    """Abstract learner of tasks, trained with Keras' `compile`, `fit` and `evaluate`.

    A subclass defines what a meta-step minimises, `meta_loss`, and how queries are predicted from a
    support set, `predictors`. Training, evaluation and the run folder need nothing else.

    Compiled functions contain the values of options such as `steps_per_execution` or
    `num_inner_steps`. They are dropped automatically when such an attribute is set, so that the
    next `fit` or `evaluate` compiles them again.

    Attributes:
        model: Keras model.
        seed: run seed of tasks, masks and noise.
        task_loss: the loss given to `compile`.
        num_inner_steps: gradient steps within a task, for methods that adapt weights.
        task_chunk: largest number of tasks to process at a time; None for all.
        adapts_weights: whether the method adapts weights by gradient steps. `adapt`, `export` and
            `FewShotClassifier` require it.
        has_planned_length: whether training depends on the total number of iterations, which is
            then fixed when it starts.
        compiles_with_xla: whether `compile` may use XLA.
        supports_sample_weight: whether the losses of examples can have weights.
    """

    adapts_weights = False
    has_planned_length = False
    compiles_with_xla = True
    supports_sample_weight = False

    def __init__(
        self, model: keras.Model, seed: int = 0, *, task_chunk: int | None = None, **kwargs: Any
    ) -> None:
        """Stores the model and the run seed.

        Args:
            model: built Keras model.
            seed: run seed of tasks, masks and noise.
            task_chunk: largest number of tasks to process at a time, which limits the memory; None
                for all. Results are the same up to the order of summation, except for noise that
                Keras' layers draw, such as dropout.
            **kwargs: Keras' `name`.

        Raises:
            ValueError: if `seed` is not an integer, `task_chunk` is not positive, the model has
                several outputs, or a layer of it mixes tasks that would be processed separately.
        """
        check_keras_model(model)
        single_output(getattr(model, "outputs", None) or [None])  # known before the first call
        super().__init__(**kwargs)
        self._replicas = Replicas.of(model)
        if self.num_replicas > 1:
            check_independent_tasks(model, "the scope of a strategy with several replicas")
        self.model = model
        self.seed = validate_integer("seed", seed)
        self.num_inner_steps = 1
        self.task_chunk = task_chunk
        self._debug = False
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute, and drops compiled functions that contain its old value."""
        if name == "num_inner_steps":
            value = validate_integer(name, value, 0)
        if name == "task_chunk" and value is not None:
            value = validate_integer(name, value, 1)
            check_independent_tasks(self.model, "`task_chunk`")
        if name == "steps_per_execution" and self.__dict__.get("_replicas") is not None:
            value = 1  # a program ends where replicas sum their gradients
        if name == "step_size":  # of the update rule; a variable must not become the learner's
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)
        if name in _COMPILED_IN:
            self.train_function = self.test_function = None

    @abc.abstractmethod
    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """What the meta-step minimises, before the model's regularisers.

        It is a mean over tasks, each of which counts equally and independently of the others. The
        tasks may be a part of a meta-batch, `episode.part`. A method that draws random numbers for
        each task then draws those of the whole meta-batch and uses the rows of the part.

        Args:
            episode: `Episode` of B tasks.
            seed: stateless seed of the method's random numbers, int32 [2].
            training: False in validation.

        Returns:
            `MetaLoss`.
        """

    @abc.abstractmethod
    def predictors(
        self,
        support: Examples,
        num_inner_steps: int,
        seed: tf.Tensor,
        part: Part | None = None,
    ) -> Sequence[Predictor]:
        """Functions that predict queries before learning from support sets and after each step.

        Args:
            support: (x [B, n, ...], y [B, n, ...]), or (x, y, sample weights [B, n]) if
                `supports_sample_weight`.
            num_inner_steps: S.
            seed: stateless seed of the method's random numbers, int32 [2].
            part: `episode.part`, see `meta_loss`.

        Returns:
            S + 1 functions (x [B, m, ...], statistics `SetStatistics` or None) -> predictions
            [B*m, ...], flattened. A method without steps repeats one function from position 1 on,
            and the evaluator calls it once.
        """

    @property
    def step_size(self) -> Any:
        """The inner step size, for methods that have a single one that may be changed.

        Raises:
            ValueError: if the method has none, as here, when it is read or set.
        """
        raise ValueError(f"`{type(self).__name__}` has no `step_size`.")

    @step_size.setter
    def step_size(self, step_size: Any) -> None:
        """Sets the inner step size; raises ValueError if the method has none."""
        raise ValueError(
            f"`{type(self).__name__}` has no `step_size` that can be changed. "
            f"Received: step_size={step_size}."
        )

    @property
    def meta_parameters(self) -> list[keras.Variable]:
        """Everything that the meta-step changes, always in the same order."""
        return self.trainable_variables

    @property
    def iteration(self) -> int:
        """The number of meta-steps since training started."""
        return int(self.optimizer.iterations.numpy())

    def report(self) -> dict[str, float]:
        """Further numbers for the metrics of a run."""
        return {}

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """What the model computes before it learns from a support set."""
        return self.model(inputs, training=training)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        loss: str | keras.losses.Loss | Callable[..., tf.Tensor] | None = None,
        metrics: Sequence[Any] | None = None,
        *,
        jit_compile: bool = True,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        auto_scale_loss: bool = True,
        debug: bool = False,
    ) -> None:
        """Configures meta-training.

        Args:
            optimizer: optimizer of the meta-step.
            loss: loss of support and query sets, one value per example, see `task_losses`.
            metrics: Keras metrics of the predictions on query sets after adaptation.
            jit_compile: compiles the meta-step with XLA if `compiles_with_xla`, which makes it
                several times faster.
            run_eagerly: compiles nothing, to step through the code.
            steps_per_execution: meta-steps in one compiled program; always 1 under a strategy.
            auto_scale_loss: scales the loss to avoid underflow if the model computes in float16.
            debug: checks the labels of every batch instead of the first one of each stream. It
                implies `jit_compile=False`, because XLA cannot call the check. It is not saved.

        Raises:
            ValueError: without a loss.
        """
        if loss is None:
            raise ValueError(
                "`loss` must be a Keras loss, its name, or a function. Received: loss=None."
            )
        self.task_loss = cast(TaskLoss, keras.losses.get(loss))
        steps_per_execution = validate_integer("steps_per_execution", steps_per_execution, 1)
        self._debug = debug
        self._label_checks.reset()
        jit_compile = jit_compile and self.compiles_with_xla and not debug
        with self._creating_variables():
            if self._replicas is not None:
                optimizer = self._replicas.adopt_optimizer(optimizer)
                metrics = self._replicas.adopt_metrics(metrics)
            super().compile(
                optimizer=optimizer,
                loss=loss,
                metrics=metrics,
                jit_compile=jit_compile and not run_eagerly,
                run_eagerly=run_eagerly,
                steps_per_execution=steps_per_execution,
                auto_scale_loss=auto_scale_loss,
            )
            # A learner saved before its first step can then be loaded like any other.
            if not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)

    def _creating_variables(self) -> contextlib.AbstractContextManager[None]:
        """The scope in which the learner's variables are created."""
        return contextlib.nullcontext() if self._replicas is None else self._replicas.scope()

    @property
    def jit_compile(self) -> bool:
        """Whether Keras compiles a whole step with XLA.

        Under a strategy, it is False, and what each replica computes before the gradients are
        summed is compiled instead.
        """
        return self._replicas is None and super().jit_compile

    @jit_compile.setter
    def jit_compile(self, value: bool) -> None:
        keras.Model.jit_compile.__set__(self, value)

    @property
    def num_replicas(self) -> int:
        """The replicas of the strategy in whose scope the learner was created, or 1."""
        return 1 if self._replicas is None else self._replicas.count

    def compile_function(
        self, function: Callable[..., T]
    ) -> Callable[[Sequence[tuple[Any, ...]]], list[T]]:
        """Compiles a function of tensors as the learner's own steps are compiled.

        Args:
            function: function whose results are tensors, or structures of them, of known shapes.

        Returns:
            Function from the arguments of `num_replicas` calls to the list of their results. Each
            replica makes one of the calls.
        """
        if self._replicas is not None:
            return self._replicas.compile_function(function, self._compiles_replicas)
        compiled = function
        if not self.run_eagerly:
            compiled = tf.function(function, jit_compile=self.jit_compile, autograph=False)
        return lambda calls: [compiled(*arguments) for arguments in calls]

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles a loaded learner, with variables for the optimizer's state."""
        options = keras.saving.deserialize_keras_object(config)
        for unused in ("loss_weights", "weighted_metrics"):  # Keras stores them, too
            options.pop(unused, None)
        self.compile(**options)

    def meta_gradients(
        self, episode: Episode, seed: tf.Tensor
    ) -> tuple[MetaLoss, Sequence[tf.Tensor]]:
        """The meta-loss of an episode batch, and the gradient of every meta-parameter.

        Args:
            episode: `Episode` of B tasks.
            seed: stateless seed, int32 [2].

        Returns:
            Pair (`MetaLoss`, list of gradients, scaled by the optimizer's `scale_loss`). With
            several chunks of tasks, the trajectory in `MetaLoss` contains only losses.
        """

        def compute(part: Episode) -> tuple[MetaLoss, list[tf.Tensor]]:
            return value_and_gradients(
                lambda: self.meta_loss(part, seed, training=True),
                self.model,
                self.meta_parameters,
                self.optimizer.scale_loss,
            )

        return accumulate(compute, episode, self.task_chunk)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One meta-step (eq. 13). Keras compiles and calls it."""
        return self._log(*self._everywhere(self._train_step, data))

    def _train_step(self, data: Any) -> tuple[MetaLoss, tf.Tensor]:
        result, gradients, labels = self._meta_batch(
            data, "train", batch_counter(self.optimizer).value
        )
        # The stream reads the number of its first batch when the first episode is requested. This
        # must happen before the optimizer increments that number.
        with tf.control_dependencies([labels]):
            self.optimizer.apply_gradients(zip(gradients, self.meta_parameters, strict=True))
        return result, labels

    def _everywhere(self, function: Callable[..., T], *args: Any) -> T:
        """Calls a function, in each replica if there are several."""
        return function(*args) if self._replicas is None else self._replicas.run(function, args)

    def _meta_batch(
        self, data: Any, role: Role, number: int | tf.Tensor
    ) -> tuple[MetaLoss, Sequence[tf.Tensor], tf.Tensor]:
        """The result, the gradients in training, and the query labels of a whole meta-batch."""
        compute = self.meta_gradients if role == "train" else self._validation_loss
        mask_seed = seeds.stateless_seed(self.seed, _PURPOSES[role][1], number)
        episode = self._episode(data, role, number)
        if self._replicas is None:
            return *compute(episode, mask_seed), episode.query_y
        return self._replicas.compute(compute, episode, mask_seed, self._compiles_replicas)

    @property
    def _compiles_replicas(self) -> bool:
        """Whether XLA compiles what each replica computes."""
        return super().jit_compile and not self.run_eagerly

    def _validation_loss(
        self, episode: Episode, seed: tf.Tensor
    ) -> tuple[MetaLoss, Sequence[tf.Tensor]]:
        """The meta-loss of episodes in validation, and no gradients."""
        return accumulate(
            lambda part: (self.meta_loss(part, seed, training=False), []), episode, self.task_chunk
        )

    def make_train_function(self, force: bool = False) -> None:
        """Compiles the meta-step, or a loop of several of them as one program.

        The loop is used if `steps_per_execution` is above 1. It includes sampling, which removes
        most of the overhead of small networks.
        """
        loops = self._streams.samples_in_graph("train") and self.steps_per_execution > 1
        if not loops or self.run_eagerly or (self.train_function and not force):
            super().make_train_function(force)
            return

        @tf.function(jit_compile=self.jit_compile, autograph=False)
        def run() -> dict[str, tf.Tensor]:
            def body(step: tf.Tensor) -> tf.Tensor:
                self.train_step(None)
                return step + 1

            tf.while_loop(lambda step: step < self.steps_per_execution, body, [0])
            return self.get_metrics_result()

        self.train_function = lambda iterator: run()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The query loss and metrics after adaptation, of one batch of episodes."""
        return self._log(*self._everywhere(self._test_step, data))

    def _test_step(self, data: Any) -> tuple[MetaLoss, tf.Tensor]:
        # A batch without a number is numbered by the batches counted so far.
        number = data if self._streams.samples_in_graph("test") else loss_tracker(self).count
        result, _, labels = self._meta_batch(data, "test", number)
        return result, labels

    def _log(self, result: MetaLoss, query_y: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates the metrics, and returns their values."""
        labels = flatten_tasks(query_y)
        with tf.init_scope(), self._creating_variables():
            build_metrics(self, labels, result.query_predictions)
        return self._everywhere(self._metrics_of, result, query_y)

    def _episode(self, data: Any, role: Role, number: int | tf.Tensor) -> Episode:
        seed = seeds.stateless_seed(self.seed, _PURPOSES[role][0], number)
        if self._replicas is None:
            episode = self._streams.episode(data, role, seed)
        else:
            sampled = self._streams.sampled(role)
            episode = self._replicas.episode(sampled, data, seed, self._compiles_replicas)
        weights = (episode.support_weight, episode.query_weight)
        if any(w is not None for w in weights) and not self.supports_sample_weight:
            raise ValueError(
                "Episodes must not contain sample weights, because this method does not use them. "
                f"Received: weights for {type(self).__name__}. Remove them."
            )
        return self._label_checks.each_batch(episode, role) if self._debug else episode

    def _metrics_of(self, result: MetaLoss, query_y: tf.Tensor) -> dict[str, tf.Tensor]:
        loss_tracker(self).update_state(result.value)
        labels = flatten_tasks(query_y)
        # Metrics have the faults of losses: a user's function of labels [n] and predictions [n, 1]
        # may compare each example with all others.
        labels, predictions = matching_pair(
            self._updated_metrics, labels, result.query_predictions, "Every one of `metrics`"
        )
        return self.compute_metrics(None, labels, predictions)

    def _updated_metrics(self, labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Updates the metrics, and returns one value per example."""
        self.compute_metrics(None, labels, predictions)
        return predictions

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the learner again."""
        model = keras.saving.serialize_keras_object(self.model)
        own = {"name": self.name, "seed": self.seed, "task_chunk": self.task_chunk}
        return {**own, "model": model}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Creates a learner from `get_config`."""
        config = dict(config)
        model = keras.saving.deserialize_keras_object(config.pop("model"), custom_objects)
        return cls(model, **config)
