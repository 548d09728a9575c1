"""`EpisodicLearner`: what every learner of tasks shares, whatever it learns from a support set."""

import abc

import keras
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf._keras import batch_counter, loss_tracker
from mtnet_tf.meta import flatten_tasks, value_and_gradients
from mtnet_tf.tasks import EpisodeStreams


class EpisodicLearner(keras.Model, abc.ABC):
    """Abstract learner of tasks, trained with Keras' own `compile`, `fit` and `evaluate`.

    A subclass says what a meta-step lowers, `meta_loss`, and how a support set answers queries,
    `predictors`. Trainer, evaluator and run folder ask for nothing else.

    Attributes:
      model: Keras model.
      seed: run seed of tasks, masks and noise.
      num_inner_steps: gradient steps within a task, where the method takes any.
      adapts_weights: whether it takes any, as `adapt`, export and prediction need.
      has_step_size: whether their size is a number, `step_size`, that may be changed afterwards.
      has_planned_length: whether training goes by the number of iterations it was built for.
      compiles_with_xla: whether `compile` may ask for XLA.
    """

    adapts_weights = False
    has_step_size = False
    has_planned_length = False
    compiles_with_xla = True

    def __init__(self, model, seed=0, **kwargs):
        """Stores the model and the run seed."""
        super().__init__(**kwargs)
        self.model = model
        self.seed = seed
        self.num_inner_steps = 1
        self._streams = EpisodeStreams()
        self.built = True

    @abc.abstractmethod
    def meta_loss(self, episode, seed, *, training):
        """What the meta-step lowers, before the model's regularisers.

        Args:
          episode: `Episode` of B tasks.
          seed: stateless seed of what the method draws, int32 [2].
          training: False in validation.

        Returns:
          `MetaLoss`.
        """

    @abc.abstractmethod
    def predictors(self, support, num_inner_steps, seed):
        """What answers queries before learning from the support sets and after each step.

        Args:
          support: pair (x [B, n, ...], y [B, n, ...]).
          num_inner_steps: S.
          seed: stateless seed of what the method draws, int32 [2].

        Returns:
          List of S+1 functions (x [B, m, ...], statistics `SetStatistics` or None) -> predictions
          [B*m, ...], flattened. A method without steps repeats one function from place 1 on, and the
          evaluator calls it once.
        """

    @property
    def meta_parameters(self):
        """Everything that the meta-step changes."""
        return self.trainable_variables

    def report(self):
        """Further numbers for the run's metrics, a dict."""
        return {}

    def call(self, inputs, training=None):
        """What the model computes before it learns from any support set."""
        return self.model(inputs, training=training)

    def compile(
        self,
        optimizer="adam",
        loss=None,
        metrics=None,
        *,
        jit_compile=True,
        run_eagerly=False,
        **kwargs,
    ):
        """Configures meta-training.

        Args:
          optimizer: of the meta-step.
          loss: per-example loss of a task, see `task_losses`; both of support and query.
          metrics: Keras metrics of the predictions on query sets after adaptation.
          jit_compile: compiles the meta-step with XLA, where `compiles_with_xla`; several times
            faster.
          run_eagerly: compiles nothing, to step through.
          **kwargs: further arguments of `keras.Model.compile`.

        Raises:
          ValueError: without a loss.
        """
        if loss is None:
            raise ValueError(
                "`loss` must be a Keras loss, its name, or a function. Received: loss=None."
            )
        self.task_loss = keras.losses.get(loss)
        jit_compile = jit_compile and self.compiles_with_xla
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            jit_compile=jit_compile and not run_eagerly,
            run_eagerly=run_eagerly,
            **kwargs,
        )
        # A learner saved before its first step is then loaded like any other.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config):
        """Compiles a loaded learner, with room for the optimizer's state."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def meta_gradients(self, episode, seed):
        """The meta-loss of an episode batch, and the gradient of every meta-parameter.

        Args:
          episode: `Episode` of B tasks.
          seed: stateless seed, int32 [2].

        Returns:
          Pair (`MetaLoss`, list of gradients, scaled by the optimizer's `scale_loss`).
        """
        return value_and_gradients(
            lambda: self.meta_loss(episode, seed, training=True),
            self.model,
            self.meta_parameters,
            self.optimizer.scale_loss,
        )

    def train_step(self, data):
        """One meta-step (eq. 13). Keras compiles and calls it."""
        iteration = self._batches_seen.value
        episode = self._episode(data, "train", seeds.Purpose.TRAIN_TASKS, iteration)
        seed = seeds.stateless_seed(self.seed, seeds.Purpose.TRAIN_MASKS, iteration)
        result, gradients = self.meta_gradients(episode, seed)
        # A stream reads the number of its first batch late, but before the optimizer counts on.
        with tf.control_dependencies([episode.support_x]):
            self.optimizer.apply_gradients(zip(gradients, self.meta_parameters, strict=True))
        return self._metrics_of(result, episode)

    @property
    def _batches_seen(self):
        """The optimizer's counter of batches: `iterations`, unless it accumulates gradients."""
        return batch_counter(self.optimizer)

    def make_train_function(self, force=False):
        """Compiles the meta-step; several of them, sampling included, as ONE program.

        With `steps_per_execution` above 1 the loop of meta-steps itself is compiled: small
        networks are all overhead otherwise.
        """
        loops = self._streams.samples_in_graph("train") and self.steps_per_execution > 1
        if not loops or self.run_eagerly or (self.train_function and not force):
            return super().make_train_function(force)

        @tf.function(jit_compile=self.jit_compile, autograph=False)
        def run():
            def body(step):
                self.train_step(None)
                return step + 1

            tf.while_loop(lambda step: step < self.steps_per_execution, body, [0])
            return self.get_metrics_result()

        self.train_function = lambda iterator: run()
        return None

    def test_step(self, data):
        """The query loss and metrics after trajectory, of one batch of episodes."""
        # Without numbers of its own, a batch is numbered by those already counted.
        index = data if self._streams.samples_in_graph("test") else loss_tracker(self).count
        episode = self._episode(data, "test", seeds.Purpose.VALIDATION_TASKS, index)
        seed = seeds.stateless_seed(self.seed, seeds.Purpose.VALIDATION_MASKS, index)
        return self._metrics_of(self.meta_loss(episode, seed, training=False), episode)

    def _episode(self, data, role, purpose, number):
        return self._streams.episode(data, role, seeds.stateless_seed(self.seed, purpose, number))

    def _metrics_of(self, result, episode):
        loss_tracker(self).update_state(result.value)
        labels = flatten_tasks(episode.query_y)
        return self.compute_metrics(None, labels, result.query_predictions)

    def fit(
        self, x=None, *, batch_size=None, validation_data=None, validation_steps=None, **kwargs
    ):
        """Meta-trains with `keras.Model.fit`.

        Args:
          x: a `TaskDistribution`; or episodes ((support_x, support_y), (query_x, query_y)):
            batches of them in a `tf.data.Dataset` or a generator, or arrays of all the tasks.
          batch_size: tasks per meta-step, for a `TaskDistribution` (with `steps_per_epoch`) and
            for arrays.
          validation_data: as `x`; needs `validation_steps` if it is a `TaskDistribution`.
          validation_steps: batches of `batch_size` episodes, the same ones at every validation.
          **kwargs: further arguments of `keras.Model.fit`.

        Returns:
          `keras.callbacks.History`.

        Raises:
          ValueError: if a `TaskDistribution` comes without batch size or steps.
        """
        data = self._stream(x, "train", batch_size, kwargs.get("steps_per_epoch"))
        if validation_data is not None:
            validation_data = self._stream(validation_data, "test", batch_size, validation_steps)
        kwargs = {"shuffle": False, **kwargs}  # order is the stream's business
        return super().fit(
            data, validation_data=validation_data, validation_steps=validation_steps, **kwargs
        )

    def evaluate(self, x=None, *, batch_size=None, steps=None, **kwargs):
        """Post-adaptation loss and metrics, with `keras.Model.evaluate`; `x` as for `fit`."""
        return super().evaluate(self._stream(x, "test", batch_size, steps), steps=steps, **kwargs)

    def _stream(self, x, role, batch_size, steps):
        stream, changed = self._streams.open(
            x, role, batch_size, steps, self.seed, lambda: int(self._batches_seen)
        )
        if changed:
            setattr(self, f"{role}_function", None)  # the compiled step holds the old tasks
        return stream

    def get_config(self):
        """What every learner is created again with."""
        model = keras.saving.serialize_keras_object(self.model)
        return {"name": self.name, "model": model, "seed": self.seed}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Creates a learner from `get_config`."""
        config = dict(config)
        model = keras.saving.deserialize_keras_object(config.pop("model"), custom_objects)
        return cls(model, **config)
