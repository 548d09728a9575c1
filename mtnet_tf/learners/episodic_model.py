"""`EpisodicModel`: Keras' methods that take data, for episodes."""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mtnet_tf import seeds
from mtnet_tf._keras import UndistributedStrategy, batch_counter, hide_strategy
from mtnet_tf.adaptation import ModelInputs
from mtnet_tf.layers import input_specs, is_integer, validate_integer
from mtnet_tf.learners.label_checks import LabelChecks
from mtnet_tf.learners.unused_arguments import check_unused
from mtnet_tf.meta import TaskLoss, check_labels
from mtnet_tf.tasks import EpisodeStreams, Role, looks_like_episode, split_last


class EpisodicModel(keras.Model, abc.ABC):
    """Abstract Keras model that is trained on tasks and evaluated on them.

    `fit`, `evaluate`, `train_on_batch` and `test_on_batch` take episodes or a `TaskDistribution`.

    Attributes:
        model: the Keras model that learns tasks.
        seed: run seed of tasks, masks and noise.
        task_loss: the loss given to `compile`.
    """

    model: keras.Model
    seed: int
    task_loss: TaskLoss

    def __init__(self, **kwargs: Any) -> None:
        """Creates a model without streams of episodes.

        Args:
            **kwargs: Keras' `name`.
        """
        super().__init__(**kwargs)
        hide_strategy(self)  # `EpisodicLearner` divides the tasks of a meta-batch itself
        self._streams = EpisodeStreams()
        self._label_checks = LabelChecks(self.check_labels)
        self._output_shape: tuple[int | None, ...] | None = None  # a subclass is called for it

    @property
    def distribute_strategy(self) -> Any:
        """What Keras uses to divide data: it does not divide episodes."""
        return UndistributedStrategy()

    def fit(
        self,
        x: Any = None,
        y: None = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        steps_per_epoch: int | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        initial_epoch: int = 0,
        shuffle: bool = False,
        class_weight: None = None,
        sample_weight: None = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
    ) -> keras.callbacks.History:
        """Meta-trains with `keras.Model.fit`.

        Args:
            x: a `TaskDistribution`; or episodes ((support_x, support_y), (query_x, query_y)):
                batches of them in a `tf.data.Dataset` or a generator, or arrays of all tasks. They
                may also be dicts with the keys "support_x", ..., and contain sample weights, see
                `read_episode`.
            y: not used, because the labels are part of the episodes.
            batch_size: tasks per meta-step, for a `TaskDistribution` (with `steps_per_epoch`) and
                for arrays.
            epochs: number of the epoch after which training ends, counted from 0.
            steps_per_epoch: meta-steps per epoch.
            validation_split: fraction of the tasks, the last ones, to validate with; for arrays.
            validation_data: like `x`; a `TaskDistribution` needs `validation_steps`.
            validation_steps: batches of episodes, the same ones at every validation.
            validation_batch_size: tasks per batch of validation; None for `batch_size`.
            validation_freq: epochs from one validation to the next; or the numbers of the epochs
                after which to validate.
            initial_epoch: number of the first epoch, to resume training.
            shuffle: shuffles the batches of a `keras.utils.PyDataset`. Other data, whose order is
                always kept, are not affected.
            class_weight: not used, because classes are numbered differently in each task.
            sample_weight: not used, because weights are part of the episodes.
            callbacks: Keras callbacks.
            verbose: "auto", 0, 1 or 2, as in Keras.

        Returns:
            `keras.callbacks.History`.

        Raises:
            ValueError: if a `TaskDistribution` is given without a batch size or steps, or for
                arguments that are not used.
        """
        check_unused(y=y, class_weight=class_weight, sample_weight=sample_weight)
        epochs = validate_integer("epochs", epochs, 0)
        initial_epoch = validate_integer("initial_epoch", initial_epoch, 0)
        batch_size = _validated("batch_size", batch_size)
        steps_per_epoch = _validated("steps_per_epoch", steps_per_epoch)
        validation_steps = _validated("validation_steps", validation_steps)
        validation_batch_size = _validated("validation_batch_size", validation_batch_size)
        if is_integer(validation_freq):
            validation_freq = validate_integer("validation_freq", validation_freq, 1)
        if validation_split and validation_data is None:
            x, validation_data = split_last(x, validation_split)
        data = self._stream(x, "train", batch_size, steps_per_epoch)
        if validation_data is not None:
            validation_data = self._stream(
                validation_data, "test", validation_batch_size or batch_size, validation_steps
            )
        with self._label_checks.raising():
            return super().fit(
                data,
                epochs=epochs,
                steps_per_epoch=steps_per_epoch,
                validation_data=validation_data,
                validation_steps=validation_steps,
                validation_freq=validation_freq,
                initial_epoch=initial_epoch,
                shuffle=shuffle,
                callbacks=callbacks,
                verbose=verbose,
            )

    def evaluate(
        self,
        x: Any = None,
        y: None = None,
        *,
        batch_size: int | None = None,
        sample_weight: None = None,
        steps: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics after adaptation, with `keras.Model.evaluate`.

        Args:
            x: as for `fit`.
            y: not used, as for `fit`.
            batch_size: as for `fit`.
            sample_weight: not used, as for `fit`.
            steps: batches of episodes, for a `TaskDistribution`.
            callbacks: Keras callbacks.
            verbose: "auto", 0, 1 or 2, as in Keras.
            return_dict: returns a dict from names to values instead of a list.
            **kwargs: what Keras' `fit` passes when it validates; give nothing here.

        Returns:
            The loss if there are no metrics; a list of the loss and the metrics; or a dict.

        Raises:
            ValueError: as for `fit`.
        """
        check_unused(y=y, sample_weight=sample_weight)
        batch_size, steps = _validated("batch_size", batch_size), _validated("steps", steps)
        with self._label_checks.raising():
            return super().evaluate(
                self._stream(x, "test", batch_size, steps),
                steps=steps,
                callbacks=callbacks,
                verbose=verbose,
                return_dict=return_dict,
                **kwargs,
            )

    def train_on_batch(
        self,
        x: Any,
        y: None = None,
        sample_weight: None = None,
        class_weight: None = None,
        return_dict: bool = False,
    ) -> Any:
        """One meta-step, on one batch of episodes.

        Args:
            x: arrays of episodes, as for `fit`.
            y: not used, as for `fit`.
            sample_weight: not used, as for `fit`.
            class_weight: not used, as for `fit`.
            return_dict: returns a dict from names to values instead of a list.

        Returns:
            As for `evaluate`.

        Raises:
            ValueError: if `x` are not episodes, or for arguments that are not used.
        """
        check_unused(y=y, class_weight=class_weight, sample_weight=sample_weight)
        return super().train_on_batch(self._batch(x, "train"), return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: None = None, sample_weight: None = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics after adaptation to one batch of episodes; see `train_on_batch`."""
        check_unused(y=y, sample_weight=sample_weight)
        return super().test_on_batch(self._batch(x, "test"), return_dict=return_dict)

    def predict_step(self, data: Any) -> Any:
        """What `predict` computes: the outputs of the model before it learns from a support set.

        Raises:
            ValueError: if `data` are episodes.
        """
        if looks_like_episode(data):
            raise ValueError(
                "`x` must be inputs [n, ...] of the model, because `predict` does not adapt. "
                "Received: episodes. Use `learner.adapt(support_x, support_y).predict(query_x)`."
            )
        return super().predict_step(data)

    def _batch(self, x: Any, role: Role) -> dict[str, Any]:
        batch, changed = self._streams.batch(x, role)
        if changed:
            setattr(self, f"{role}_function", None)
        self._label_checks.batch(batch, role)
        return batch

    def _stream(self, x: Any, role: Role, batch_size: int | None, steps: int | None) -> Any:
        if x is None:
            raise ValueError("`x` must be a TaskDistribution or episodes. Received: x=None.")
        stream, changed = self._streams.open(
            x,
            role,
            batch_size,
            steps,
            self.seed,
            lambda: int(batch_counter(self.optimizer).numpy()),
        )
        if changed:
            setattr(self, f"{role}_function", None)  # the compiled step contains the old tasks
        seed = seeds.stateless_seed(self.seed, seeds.Purpose.TRAIN_TASKS, 0)
        return self._label_checks.stream(x, stream, role, seed, batch_size)

    def check_labels(self, support_y: np.ndarray, query_y: np.ndarray, role: Role = "test") -> None:
        """Checks that the loss can be computed from the labels of episodes.

        Args:
            support_y: [B, n, ...].
            query_y: [B, m, ...].
            role: "train" or "test".

        Raises:
            ValueError: as `mtnet_tf.meta.check_labels`.
        """
        shape = self.prediction_shape(role)
        if shape is not None:
            check_labels(self.task_loss, support_y, shape, "support_y")
            check_labels(self.task_loss, query_y, shape, "query_y")

    def prediction_shape(self, role: Role = "test") -> tuple[int | None, ...] | None:
        """Shape (None, ..., N) of the predictions; None if it is not known.

        Args:
            role: "train" or "test", in which tasks may have another number of classes.
        """
        if self._output_shape is None and input_specs(self.model):
            self._output_shape = ModelInputs(self.model).output_shape
        return self._output_shape


def _validated(name: str, value: Any) -> int | None:
    """A positive integer as an int, or None; raises ValueError for anything else."""
    return None if value is None else validate_integer(name, value, 1)
