"""`MetaLearner`: a Keras model, meta-trained with Keras' own `compile`, `fit` and `evaluate`."""

import functools

import keras

from mtnet_tf.adaptation import adapted_model, export
from mtnet_tf.diagnostics import active_fraction, check_stock_layers
from mtnet_tf.layers import find_layer, find_task_weights
from mtnet_tf.learners.episodic_learner import EpisodicLearner
from mtnet_tf.meta import (
    MaskSampler,
    adapt_to_support,
    check_no_activity_regularizers,
    count_tasks,
    meta_loss,
    predict,
)


@keras.saving.register_keras_serializable(package="mtnet_tf")
class MetaLearner(EpisodicLearner):
    """Meta-trains a model so that a few gradient steps adapt it to a new task.

    Which method it is depends on the model's cells (`TWDense`, `TWConv2D`): MT-net by default,
    T-net with `mask=None`, M-net with `transform=False`, MAML with both.

    Example:
    >>> learner = MetaLearner(regression_network(), step_size=0.01)
    >>> learner.compile(keras.optimizers.Adam(1e-3), "mean_squared_error")
    >>> learner.fit(Sinusoids(), batch_size=4, steps_per_epoch=1000)
    """

    adapts_weights = True

    def __init__(
        self,
        model,
        step_size,
        num_inner_steps=1,
        *,
        first_order=False,
        redraw_masks=False,
        adapt_layers=None,
        update_rule=None,
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
            model is then called task by task and without XLA, slower for the same numbers, and
            may hold no activity regularisers.
          update_rule: `UpdateRule`, what an inner step does with the gradients; None for gradient
            descent by `step_size`.
          seed: run seed of tasks and masks.
          **kwargs: Keras' `name`.

        Change one of these attributes later, and it counts from the next `compile` on.

        Raises:
          ValueError: if the model has nothing to adapt, or layers that can't be meta-learned
            through, or for numbers that make no sense.
        """
        if not step_size > 0:
            raise ValueError(f"`step_size` must be positive. Received: step_size={step_size}.")
        if num_inner_steps < 0:
            raise ValueError(
                "`num_inner_steps` must not be negative. "
                f"Received: num_inner_steps={num_inner_steps}."
            )
        check_stock_layers(model, first_order)
        super().__init__(model, seed, **kwargs)
        self._support_loss = keras.metrics.Mean(name="support_loss")
        self.step_size = step_size
        self.num_inner_steps = num_inner_steps
        self.first_order = first_order
        self.redraw_masks = redraw_masks
        self.adapt_layers = None
        if adapt_layers is not None:
            self.adapt_layers = [find_layer(model, layer).name for layer in adapt_layers]
        task_weights = find_task_weights(model, self.adapt_layers)
        if not all(w.flattened for w in task_weights):
            check_no_activity_regularizers(model)
        if update_rule is not None and not update_rule.built:
            update_rule.build([w.variable.shape for w in task_weights])
        self.update_rule = update_rule

    @property
    def meta_parameters(self):
        """Everything that the meta-step changes: W, b, T, mask logits, normalisation, the rule's.

        A list, always in the same order.
        """
        learned = [] if self.update_rule is None else self.update_rule.trainable_variables
        return [*self.model.trainable_variables, *learned]

    @property
    def task_weights(self):
        """What the inner loop changes, a list of `TaskWeight`."""
        return find_task_weights(self.model, self.adapt_layers)

    @property
    def has_step_size(self):
        """False where an update rule holds the sizes of its steps."""
        return self.update_rule is None

    @property
    def compiles_with_xla(self):
        """False where tasks are taken one by one: XLA has no gradient of such a loop."""
        return all(w.flattened for w in self.task_weights)

    def report(self):
        """The fraction of the task weights that a task may change."""
        return {"active_fraction": active_fraction(self.model, self.adapt_layers)}

    def masks(self, num_tasks, seed, *, most_probable=False):
        """The masks of one episode batch, see `MaskSampler`."""
        return MaskSampler(
            self.task_weights,
            num_tasks,
            seed,
            redraw=self.redraw_masks,
            most_probable=most_probable,
        )

    def inner_options(self, training=False):
        """How this learner's inner loop goes: the options of `inner_loop.adapt`, masks apart."""
        return {
            "step_size": self.step_size,
            "update_rule": self.update_rule,
            "first_order": self.first_order,
        }

    def adapt_weights(self, support, *, num_inner_steps, masks, loss=None, training=False):
        """Runs the inner loop on support sets.

        Args:
          support: pair (x [B, n, ...], y [B, n, ...]), or a function, see `adapt_to_support`.
          num_inner_steps: number of steps.
          masks: see `inner_loop.adapt`.
          loss: None for the one given to `compile`.
          training: passed to the model.

        Returns:
          `InnerTrajectory`.
        """
        return adapt_to_support(
            self.model,
            self.task_weights,
            self.task_loss if loss is None else loss,
            support,
            num_inner_steps=num_inner_steps,
            masks=masks,
            training=training,
            **self.inner_options(training),
        )

    def predict_with(self, weights, x, statistics=None):
        """Predictions of the tasks that have these fast weights; see `meta_step.predict`."""
        return predict(self.model, self.task_weights, weights, x, False, statistics)

    def meta_loss(self, episode, seed, *, training):
        """The query loss after adaptation (eq. 5 and 13), a `MetaLoss`."""
        return meta_loss(
            self.model,
            self.task_weights,
            self.task_loss,
            episode,
            num_inner_steps=self.num_inner_steps,
            masks=self.masks(count_tasks(episode.support_x), seed),
            training=training,
            **self.inner_options(training),
        )

    def predictors(self, support, num_inner_steps, seed):
        """The network before adaptation and after each step; see `EpisodicLearner`."""
        masks = self.masks(count_tasks(support[0]), seed)
        trajectory = self.adapt_weights(support, num_inner_steps=num_inner_steps, masks=masks)
        return [functools.partial(self.predict_with, w) for w in trajectory.weights]

    def _metrics_of(self, result, episode):
        if result.trajectory.support_losses:
            self._support_loss.update_state(result.trajectory.support_losses[0])
        return super()._metrics_of(result, episode)

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
            **super().get_config(),
            "step_size": self.step_size,
            "num_inner_steps": self.num_inner_steps,
            "first_order": self.first_order,
            "redraw_masks": self.redraw_masks,
            "adapt_layers": self.adapt_layers and list(self.adapt_layers),
            "update_rule": keras.saving.serialize_keras_object(self.update_rule),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Creates a learner from `get_config`."""
        rule = keras.saving.deserialize_keras_object(config.get("update_rule"), custom_objects)
        return super().from_config({**config, "update_rule": rule}, custom_objects)
