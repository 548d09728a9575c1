"""`MetaLearner`: a Keras model, meta-trained with Keras' `compile`, `fit` and `evaluate`."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.adaptation import AdaptationCache, adapted_model, export
from mtnet_tf.diagnostics import active_fraction, check_stock_layers
from mtnet_tf.layers import (
    SetStatistics,
    TaskWeight,
    find_layer,
    find_task_weights,
    list_layers,
    validate_integer,
)
from mtnet_tf.learners.episodic_learner import EpisodicLearner, Predictor
from mtnet_tf.meta import (
    GradientDescent,
    InnerOptions,
    InnerTrajectory,
    Masks,
    MaskSampler,
    MetaLoss,
    StepSize,
    TaskLoss,
    UpdateRule,
    adapt_to_support,
    check_no_activity_regularizers,
    choose_rule,
    count_tasks,
    meta_loss,
    predict,
)
from mtnet_tf.tasks import Episode, Examples, Inputs, Part


@keras.saving.register_keras_serializable(package="mtnet_tf")
class MetaLearner(EpisodicLearner):
    """Meta-trains a model so that a few gradient steps adapt it to a new task.

    The arguments of the model's TW layers (`TWDense`, `TWConv2D`, ...) determine the method: MT-net
    by default, T-net with `mask=None`, M-net with `transform=False`, and MAML with both. One
    meta-step is eq. 13; one inner step is eq. 8, with the step size alpha and the mask M:

        fast_weights -= step_size * mask * gradient of the support loss
        meta_loss = mean over tasks of the query loss with the adapted fast_weights

    Example:
    >>> from mtnet_tf import Sinusoids, regression_network
    >>> learner = MetaLearner(regression_network(dim_hidden=(4,)), step_size=0.01)
    >>> learner.compile("adam", "mean_squared_error", jit_compile=False)
    >>> history = learner.fit(Sinusoids(), batch_size=2, steps_per_epoch=3, verbose=0)
    """

    adapts_weights = True
    supports_sample_weight = True

    def __init__(
        self,
        model: keras.Model,
        step_size: StepSize | Sequence[StepSize] | Mapping[str, StepSize] | None = None,
        num_inner_steps: int = 1,
        *,
        first_order: bool = False,
        redraw_masks: bool = False,
        adapt_layers: str | keras.layers.Layer | Sequence[str | keras.layers.Layer] | None = None,
        update_rule: UpdateRule | None = None,
        check_derivatives: bool = True,
        task_chunk: int | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the learner.

        Args:
            model: built Keras model with TW layers, [n, ...] -> [n, ...].
            step_size: alpha of gradient descent, see `GradientDescent`: a positive number, a
                variable, or a Keras schedule over the inner steps; a list with one of these for
                each task weight; or a dict from the name of each layer that adapts to one of these.
                Its unit follows from the loss given to `compile`.
            num_inner_steps: gradient steps within a task, at least 0.
            first_order: omits second derivatives (the authors' `stop_grad`).
            redraw_masks: draws new masks at each inner step instead of once per task.
            adapt_layers: None to adapt the TW layers; or the layers to adapt, or their names. These
                may be of any class (an LSTM, a class of your own): all their weights adapt, by
                MAML. The model is then called task by task and without XLA, which is slower but
                gives the same numbers. It must not contain activity regularisers.
            update_rule: `UpdateRule` in place of gradient descent. Give either this or `step_size`.
            check_derivatives: whether to reject layers that make meta-gradients wrong, because a
                derivative of them in TensorFlow is wrong; False to warn only. With `first_order`,
                only first derivatives matter, until `learner.first_order` is set to False.
            task_chunk: largest number of tasks to process at a time, which limits the memory of a
                meta-step; None for all. The meta-gradient and the masks are the same.
            seed: run seed of tasks and masks.
            **kwargs: Keras' `name`.

        Raises:
            ValueError: if the model has nothing to adapt or contains layers whose second
                derivative is wrong, or if a number is out of range.
        """
        num_inner_steps = validate_integer("num_inner_steps", num_inner_steps, 0)
        check_stock_layers(
            model, first_order, adapt_layers=adapt_layers, only_warn=not check_derivatives
        )
        super().__init__(model, seed, task_chunk=task_chunk, **kwargs)
        with self._creating_variables():
            self._support_loss = keras.metrics.Mean(name="support_loss")
        self.num_inner_steps = num_inner_steps
        self.first_order = bool(first_order)
        self.check_derivatives = check_derivatives
        self.redraw_masks = bool(redraw_masks)
        self.adapt_layers = None
        if adapt_layers is not None:
            names = [find_layer(model, layer).name for layer in list_layers(adapt_layers)]
            self.adapt_layers = names
        task_weights = find_task_weights(model, self.adapt_layers)
        if not all(w.flattened for w in task_weights):
            check_no_activity_regularizers(model)
        per_layer = isinstance(step_size, Mapping)
        sizes = _size_per_weight(model, task_weights, step_size) if per_layer else step_size
        rule = choose_rule(sizes, update_rule)
        shapes = [tuple(w.variable.shape) for w in task_weights]
        if not rule.built or isinstance(rule, GradientDescent):
            rule.build(shapes)
        self.update_rule = rule
        self._adaptations = AdaptationCache()

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; checks the second derivatives if they were left out until now.

        Raises:
            ValueError: as the constructor, if `first_order` is set.
        """
        before = getattr(self, "first_order", False) if name == "first_order" else False
        if _is_true(before) and not _is_true(value):
            check_stock_layers(
                self.model,
                first_order=False,
                adapt_layers=self.adapt_layers,
                only_warn=not self.check_derivatives,
            )
        super().__setattr__(name, value)

    @property
    def step_size(self) -> StepSize | list[StepSize]:
        """Alpha of gradient descent; a list with one for each task weight if it was given by layer.

        It can be set to anything that the constructor accepts.

        Raises:
            ValueError: if another update rule determines the steps, or if a value is set that the
                constructor does not accept.
        """
        return self._gradient_descent().step_size

    @step_size.setter
    def step_size(self, step_size: StepSize | Sequence[StepSize] | Mapping[str, StepSize]) -> None:
        rule = self._gradient_descent()
        if isinstance(step_size, Mapping):
            step_size = _size_per_weight(self.model, self.task_weights, step_size)
        rule.step_size = step_size

    def _gradient_descent(self) -> GradientDescent:
        if not isinstance(self.update_rule, GradientDescent):
            raise ValueError(
                "`step_size` must not be used with an update rule other than `GradientDescent`. "
                f"Received: a learner with {type(self.update_rule).__name__}, which has its own "
                "step sizes."
            )
        return self.update_rule

    @property
    def meta_parameters(self) -> list[keras.Variable]:
        """W, b, T, mask logits, normalisation, and the variables of the rule, in this order."""
        return [*self.model.trainable_variables, *self.update_rule.trainable_variables]

    @property
    def task_weights(self) -> list[TaskWeight]:
        """The weights that the inner loop changes."""
        return find_task_weights(self.model, self.adapt_layers)

    @property
    def compiles_with_xla(self) -> bool:
        """False if tasks are processed one by one: XLA cannot differentiate such a loop."""
        return all(w.flattened for w in self.task_weights)

    def report(self) -> dict[str, float]:
        """The fraction of the task weights that a task may change."""
        return {"active_fraction": active_fraction(self.model, self.adapt_layers)}

    def mask_seed(self, number: int) -> tf.Tensor:
        """The stateless seed, int32 [2], of the masks with this number."""
        return seeds.stateless_seed(number, seeds.Purpose.EVALUATION_MASKS, 0)

    def masks(
        self,
        num_tasks: int | tf.Tensor,
        seed: tf.Tensor | int | None,
        *,
        most_probable: bool = False,
        part: Part | None = None,
    ) -> MaskSampler:
        """The masks of one episode batch.

        Args:
            num_tasks: B.
            seed: stateless seed, int32 [2]; or an int from which one is derived.
            most_probable: see `MaskSampler`.
            part: `episode.part`, see `MaskSampler`.
        """
        if isinstance(seed, int | np.integer):
            seed = self.mask_seed(int(seed))
        return MaskSampler(
            self.task_weights,
            num_tasks,
            seed,
            redraw=self.redraw_masks,
            most_probable=most_probable,
            part=part,
        )

    def inner_options(
        self, num_inner_steps: int, masks: Masks | None, *, training: bool = False
    ) -> InnerOptions:
        """The options of this learner's inner loop, see `adapt`.

        Args:
            num_inner_steps: number of steps.
            masks: see `adapt`.
            training: False in validation, evaluation and use.
        """
        return {
            "num_inner_steps": num_inner_steps,
            "update_rule": self.update_rule,
            "masks": masks,
            "first_order": self.first_order,
        }

    def adapt_weights(
        self,
        support: Examples,
        *,
        num_inner_steps: int,
        masks: Masks | None,
        loss: TaskLoss | None = None,
        training: bool = False,
    ) -> InnerTrajectory:
        """Runs the inner loop on support sets.

        Args:
            support: (x [B, n, ...], y [B, n, ...]), or (x, y, sample weights [B, n]).
            num_inner_steps: number of steps.
            masks: see `adapt`.
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
            training=training,
            **self.inner_options(num_inner_steps, masks, training=training),
        )

    def predict_with(
        self, weights: Sequence[tf.Tensor], x: Inputs, statistics: SetStatistics | None = None
    ) -> tf.Tensor:
        """Predictions [B*m, ...] of tasks with these fast weights; see `mtnet_tf.meta.predict`."""
        return predict(self.model, self.task_weights, weights, x, False, statistics)

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """The query loss after adaptation (eq. 5 and 13), a `MetaLoss`."""
        masks = self.masks(count_tasks(episode.support_x), seed, part=episode.part)
        return meta_loss(
            self.model,
            self.task_weights,
            self.task_loss,
            episode,
            training=training,
            **self.inner_options(self.num_inner_steps, masks, training=training),
        )

    def predictors(
        self,
        support: Examples,
        num_inner_steps: int,
        seed: tf.Tensor,
        part: Part | None = None,
    ) -> Sequence[Predictor]:
        """The network before adaptation and after each step; see `EpisodicLearner`."""
        masks = self.masks(count_tasks(support[0]), seed, part=part)
        trajectory = self.adapt_weights(support, num_inner_steps=num_inner_steps, masks=masks)
        return [functools.partial(self.predict_with, w) for w in trajectory.weights]

    def _metrics_of(self, result: MetaLoss, query_y: tf.Tensor) -> dict[str, tf.Tensor]:
        if result.trajectory.support_losses:
            self._support_loss.update_state(result.trajectory.support_losses[0])
        return super()._metrics_of(result, query_y)

    def adapt(
        self,
        support_x: Any,
        support_y: Any,
        *,
        sample_weight: Any = None,
        num_inner_steps: int | None = None,
        masks: Literal["most_probable"] | int = "most_probable",
        statistics: Literal["support", "query"] = "support",
        num_ways: int | None = None,
    ) -> keras.Model:
        """Adapts to one task; the learner itself does not change.

        Example:
        >>> import numpy as np
        >>> from mtnet_tf import regression_network
        >>> learner = MetaLearner(regression_network(dim_hidden=(4,)), step_size=0.01)
        >>> learner.compile("adam", "mean_squared_error")
        >>> adapted = learner.adapt(np.zeros([5, 1]), np.ones([5, 1]), num_inner_steps=2)
        >>> adapted.predict(np.zeros([3, 1]), verbose=0).shape
        (3, 1)

        Args:
            support_x: [n, ...], any number of examples; a dict or list of arrays if the model has
                several inputs.
            support_y: [n, ...], class numbers or targets; classes may have unequal shots.
            sample_weight: [n], factors of the losses of the examples; None for 1.
            num_inner_steps: number of steps; None: as in training.
            masks: "most_probable", or an int, the seed of one draw.
            statistics: what normalises a query: "support", the statistics of the support set; or
                "query", those of the queries, as in the paper.
            num_ways: number of classes of the task, if the model has more outputs. The loss and the
                prediction then use the first `num_ways` logits only.

        The first call compiles the adaptation, without XLA, for sets of any n. Later calls with the
        same options take milliseconds. The layers of the returned model are created when something
        other than its predictions is used: `model(x)` and `model.predict(x, verbose=0)` do not
        need them.

        Returns:
            Keras model, [n, ...] -> [n, ...], with its own weights. With "support", each prediction
            is independent of the other examples.

        Raises:
            ValueError: before `compile`, or if the support set does not fit the model.
        """
        return adapted_model(
            self,
            support_x,
            support_y,
            sample_weight=sample_weight,
            num_inner_steps=num_inner_steps,
            masks=masks,
            statistics=statistics,
            num_ways=num_ways,
            cache=self._adaptations,
        )

    def export(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        filepath: str | Path,
        *,
        classification: bool | None = None,
        preparation: Mapping[str, Any] | None = None,
        num_inner_steps: int | None = None,
        masks: Literal["most_probable"] | int = "most_probable",
        statistics: Literal["support", "query"] = "support",
        num_ways: int | None = None,
    ) -> Path:
        """Writes a SavedModel that adapts and predicts without this package.

        Args:
            filepath: folder to write. TensorFlow Serving expects a number as its last part, as in
                `models/1`.
            classification: True: labels are class numbers, and outputs are logits unless the loss
                expects probabilities. False: labels have the shape of the outputs. None: decided
                by the loss.
            preparation: JSON-like description of how inputs were prepared, for the metadata.
            num_inner_steps: as in `adapt`.
            masks: as in `adapt`.
            statistics: as in `adapt`.
            num_ways: as in `adapt`.

        Returns:
            Path of the folder.

        Raises:
            ValueError: if the folder contains anything except an older export.
        """
        return export(
            self,
            filepath,
            classification=classification,
            preparation=preparation,
            num_inner_steps=num_inner_steps,
            masks=masks,
            statistics=statistics,
            num_ways=num_ways,
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments to create the learner again."""
        return {
            **super().get_config(),
            "num_inner_steps": self.num_inner_steps,
            "first_order": self.first_order,
            "redraw_masks": self.redraw_masks,
            "check_derivatives": self.check_derivatives,
            "adapt_layers": self.adapt_layers and list(self.adapt_layers),
            "update_rule": keras.saving.serialize_keras_object(self.update_rule),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Creates a learner from `get_config`.

        Version 0.1.0 stored a step size in addition to the rule, and used it only without a rule.
        """
        rule = keras.saving.deserialize_keras_object(config.get("update_rule"), custom_objects)
        # Earlier versions accepted layers with wrong derivatives; their files can be loaded.
        config = {"check_derivatives": False, **config, "update_rule": rule}
        if rule is not None:
            config.pop("step_size", None)
        return super().from_config(config, custom_objects)


def _is_true(first_order: Any) -> bool:
    """Whether second derivatives are always left out; a tensor may become False."""
    return not tf.is_tensor(first_order) and bool(first_order)


def _size_per_weight(
    model: keras.Model, task_weights: Sequence[TaskWeight], sizes: Mapping[str, StepSize]
) -> list[StepSize]:
    """A step size for each task weight, from one for each layer.

    Raises:
        ValueError: if a layer is missing or unknown.
    """
    of_variable = {
        id(weight.variable): size
        for name, size in sizes.items()
        for weight in find_task_weights(model, [name])
    }
    missing = [w.variable.path for w in task_weights if id(w.variable) not in of_variable]
    if missing or len(of_variable) != len(task_weights):
        raise ValueError(
            "`step_size` must contain the name of every layer that adapts, and no other. "
            f"Received: {dict(sizes)}; step sizes are missing for: {missing or 'none'}."
        )
    return [of_variable[id(weight.variable)] for weight in task_weights]
