"""`MetaLearner`: a Keras model, meta-trained with Keras' own `compile`, `fit` and `evaluate`."""

import keras
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.adapted_model import adapted_model
from mtnet_tf.episode_streams import EpisodeStreams
from mtnet_tf.export import export
from mtnet_tf.meta_step import (
    MaskSampler,
    count_tasks,
    find_task_weights,
    fold_tasks,
    meta_gradients,
    meta_loss,
)
from mtnet_tf.stock_normalization import refuse_stock_normalization
from mtnet_tf.task_weights import find_layer


@keras.saving.register_keras_serializable(package="mtnet_tf")
class MetaLearner(keras.Model):
    """Meta-trains a model so that a few gradient steps adapt it to a new task.

    Which method it is depends on the model's cells (`TWDense`, `TWConv2D`): MT-net by default,
    T-net with `mask=None`, M-net with `transform=False`, MAML with both.

    Example:
    >>> learner = MetaLearner(regression_network(), step_size=0.01)
    >>> learner.compile(keras.optimizers.Adam(1e-3), "mean_squared_error")
    >>> learner.fit(Sinusoids(), batch_size=4, steps_per_epoch=1000)
    """

    def __init__(
        self,
        model,
        step_size,
        num_inner_steps=1,
        *,
        first_order=False,
        redraw_masks=False,
        adapt_layers=None,
        seed=0,
        **kwargs,
    ):
        """Creates the learner.

        Args:
          model: built Keras model with TW layers, [n, ...] -> [n, ...].
          step_size: alpha, positive; its unit follows from the loss given to `compile`.
          num_inner_steps: gradient steps within a task, int >= 0.
          first_order: leaves second derivatives out (the authors' `stop_grad`).
          redraw_masks: new masks at each inner step instead of once per task.
          adapt_layers: None to adapt the TW layers; or the layers to adapt, or their names, which
            may be of any class (an LSTM, one of your own): all their weights adapt, by MAML. The
            model is then called task by task and without XLA, slower for the same numbers.
          seed: run seed of tasks and masks.
          **kwargs: Keras' `name`.

        Change one of these attributes later, and it counts from the next `compile` on.

        Raises:
          ValueError: if the model has nothing to adapt, or layers that can't be meta-learned
            through, or for numbers that make no sense.
        """
        super().__init__(**kwargs)
        if not step_size > 0:
            raise ValueError(f"`step_size` must be positive. Received: step_size={step_size}.")
        if num_inner_steps < 0:
            raise ValueError(
                "`num_inner_steps` must not be negative. "
                f"Received: num_inner_steps={num_inner_steps}."
            )
        refuse_stock_normalization(model, first_order)
        self.model = model
        self.step_size = step_size
        self.num_inner_steps = num_inner_steps
        self.first_order = first_order
        self.redraw_masks = redraw_masks
        self.adapt_layers = None
        if adapt_layers is not None:
            self.adapt_layers = [find_layer(model, layer).name for layer in adapt_layers]
        self.seed = seed
        self._support_loss = keras.metrics.Mean(name="support_loss")
        self._streams = EpisodeStreams()
        find_task_weights(model, self.adapt_layers)
        self.built = True

    @property
    def meta_parameters(self):
        """Everything that the meta-step changes: W, b, T, mask logits, normalisation."""
        return self.model.trainable_variables

    @property
    def task_weights(self):
        """What the inner loop changes, a list of `TaskWeight`."""
        return find_task_weights(self.model, self.adapt_layers)

    def call(self, inputs, training=None):
        """Predictions of the initial, not adapted, weights."""
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
          jit_compile: compiles the meta-step with XLA; several times faster. Not where tasks
            are taken one by one (`adapt_layers`): XLA has no gradient of such a loop.
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
        jit_compile = jit_compile and all(w.folded for w in self.task_weights)
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

    def masks(self, num_tasks, seed, *, most_probable=False):
        """The masks of one episode batch, see `MaskSampler`."""
        return MaskSampler(
            self.task_weights,
            num_tasks,
            seed,
            redraw=self.redraw_masks,
            most_probable=most_probable,
        )

    def train_step(self, data):
        """One meta-step (eq. 13). Keras compiles and calls it."""
        iteration = self.optimizer.iterations.value
        episode = self._episode(data, "train", seeds.Purpose.TRAIN_TASKS, iteration)
        result, gradients = meta_gradients(
            meta_parameters=self.meta_parameters,
            scale=self.optimizer.scale_loss,
            **self._options(episode, seeds.Purpose.TRAIN_MASKS, iteration),
        )
        self.optimizer.apply_gradients(zip(gradients, self.meta_parameters, strict=True))
        return self._metrics_of(result, episode)

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
        """The query loss and metrics after adaptation, of one batch of episodes."""
        # Without numbers of its own, a batch is numbered by those already counted.
        index = data if self._streams.samples_in_graph("test") else self._loss_tracker.count
        episode = self._episode(data, "test", seeds.Purpose.VALIDATION_TASKS, index)
        options = self._options(episode, seeds.Purpose.VALIDATION_MASKS, index)
        result = meta_loss(training=False, **options)
        return self._metrics_of(result, episode)

    def _episode(self, data, role, purpose, number):
        return self._streams.episode(data, role, seeds.stateless_seed(self.seed, purpose, number))

    def _options(self, episode, purpose, number):
        num_tasks = count_tasks(episode.support_x)
        return {
            "model": self.model,
            "task_weights": self.task_weights,
            "loss": self.task_loss,
            "episode": episode,
            "num_inner_steps": self.num_inner_steps,
            "step_size": self.step_size,
            "first_order": self.first_order,
            "masks": self.masks(num_tasks, seeds.stateless_seed(self.seed, purpose, number)),
        }

    def _metrics_of(self, result, episode):
        self._loss_tracker.update_state(result.value)
        if result.adaptation.support_losses:
            self._support_loss.update_state(result.adaptation.support_losses[0])
        return self.compute_metrics(None, fold_tasks(episode.query_y), result.query_predictions)

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
        start = int(self.optimizer.iterations)
        stream, changed = self._streams.open(x, role, batch_size, steps, self.seed, start)
        if changed:
            setattr(self, f"{role}_function", None)  # the compiled step holds the old tasks
        return stream

    def adapt(self, support_x, support_y, **options):
        """Adapts to one task; the learner itself does not change.

        Example:
        >>> model = learner.adapt(support_x, support_y)
        >>> model.predict(query_x)

        Args:
          support_x: [n, ...], any number of examples.
          support_y: [n, ...], class numbers or targets; classes may have unequal shots.
          **options: `num_inner_steps` (as trained), `masks` ("most_probable", or a seed),
            `statistics` ("support", or "query" as in the paper), `num_ways`; see `Adapter`.

        Returns:
          Keras model, [n, ...] -> [n, ...], with weights of its own. With "support" it answers
          each example by itself, since its normalisation is fixed to the support set's.

        Raises:
          ValueError: before `compile`, or for a support set that doesn't fit the model.
        """
        return adapted_model(self, support_x, support_y, **options)

    def export(self, filepath, **options):
        """Writes a SavedModel that adapts and predicts without this package, see `export.py`.

        Args:
          filepath: folder; TensorFlow Serving wants a number as its last part, `models/1`.
          **options: `classification`, `preparation` of `export.export`; those of `adapt`.

        Raises:
          ValueError: where the folder holds something else.
        """
        return export(self, filepath, **options)

    def get_config(self):
        """Arguments to create the learner again."""
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "step_size": self.step_size,
            "num_inner_steps": self.num_inner_steps,
            "first_order": self.first_order,
            "redraw_masks": self.redraw_masks,
            "adapt_layers": self.adapt_layers and list(self.adapt_layers),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Creates a learner from `get_config`."""
        config = dict(config)
        model = keras.saving.deserialize_keras_object(config.pop("model"), custom_objects)
        return cls(model, **config)
