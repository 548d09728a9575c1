"""`FewShotClassifier`: a trained run that learns a user's own classes from a few pictures."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from numbers import Number
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import tensorflow as tf

from mtnet_tf.adaptation import Adapter
from mtnet_tf.experiments import Run, load_learner
from mtnet_tf.learners import MetaLearner
from mtnet_tf.meta import TaskLoss, output_kind, probabilities
from mtnet_tf.pictures.image_preparation import INVERT, Image, Preparation, list_pictures

_PICTURES_AT_ONCE = 256


class FewShotClassifier:
    """Learns new classes of pictures from a few examples of each, as scikit-learn's classifiers.

    Example:
    >>> classifier = FewShotClassifier("runs/omniglot_5way").fit(paths, ["ka", "ka", "ga"])
    >>> classifier.predict(["query.png"])

    Attributes:
        classes_: the labels, sorted, of `fit`.
        inverted_: whether pictures are inverted.
        inversion_: a sentence that says why.
    """

    def __init__(
        self,
        run_folder: str | Path | MetaLearner,
        *,
        iteration: int = -1,
        invert: Literal["auto"] | bool = "auto",
        drawings: bool = False,
        num_inner_steps: int | None = None,
        masks: Literal["most_probable"] | int = "most_probable",
        statistics: Literal["support", "query"] = "support",
    ) -> None:
        """Loads the learner.

        Args:
            run_folder: of a run that was trained on pictures; or a compiled `MetaLearner`.
            iteration: of the checkpoint, -1 for the best on validation.
            invert: whether to exchange light and dark. "auto": for drawings (Omniglot) what the
                support set shows, and a warning says what that was; photographs stay as they are.
            drawings: for a `MetaLearner`: whether it was trained on black and white drawings.
            num_inner_steps: of adaptation, None: as trained.
            masks: see `Adapter`.
            statistics: see `Adapter`. With "support" each picture is answered by itself.

        Raises:
            ValueError: if there is no such run, or an argument makes no sense.
        """
        if invert not in INVERT:
            raise ValueError(f"`invert` must be one of {INVERT}. Received: invert={invert!r}.")
        self.invert = invert
        if isinstance(run_folder, MetaLearner):
            self.learner = run_folder
            shape = self.learner.model.input_shape[1:]
            self.preparation = Preparation.of_kind(shape, drawings)
        else:
            run = Run(Path(run_folder))
            config = run.config()
            self.learner = load_learner(run.find(iteration))
            shape = self.learner.model.input_shape[1:]
            resampling = (config.get("data") or {}).get("resampling")
            self.preparation = Preparation.of_run(run.settings(), shape, resampling)
        self._options = {
            "num_inner_steps": num_inner_steps,
            "masks": masks,
            "statistics": statistics,
        }
        Adapter(self.learner, **self._options)  # says at once what makes no sense
        _check_class_numbers(self.learner.task_loss)
        self._adapter = None

    def fit(self, pictures: Iterable[Image], labels: Iterable[Any]) -> Self:
        """Adapts the network to a support set.

        Args:
            pictures: iterable of paths, or of uint8 arrays [H, W] or [H, W, C], of any size.
            labels: one for each, all strings or all numbers; from two classes up to as many as the
                model's; classes may have unequal numbers of pictures, and weigh the same.

        Returns:
            The classifier.

        Raises:
            ValueError: for labels or pictures that make no sense, in one sentence.
        """
        pictures = list_pictures(pictures)
        classes, numbers = self._classes(pictures, labels)
        inverted, sentence = bool(self.invert), "As asked for."
        if self.invert == "auto":
            inverted, sentence = self.preparation.inverts(pictures)
            if self.preparation.drawings:
                warnings.warn(sentence, stacklevel=2)
        x = self.preparation.load(pictures, inverted)
        self._adapter = Adapter(self.learner, num_ways=len(classes), **self._options)
        self._adapted = self._adapter.adapt(x[None], tf.constant(numbers[None], tf.int32))
        self.classes_, self.inverted_, self.inversion_ = classes, inverted, sentence
        return self

    def _classes(
        self, pictures: Sequence[Image], labels: Iterable[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        labels = _as_labels(labels)
        classes, numbers = np.unique(labels, return_inverse=True)
        most = self.learner.model.output_shape[-1]
        if labels.shape != (len(pictures),):
            raise ValueError(
                "`labels` must hold one label for each of `pictures`. "
                f"Received: {numbers.size} labels, {len(pictures)} pictures."
            )
        if not 2 <= len(classes) <= most:
            raise ValueError(
                f"`labels` must hold from 2 to {most} classes, as many as the model was trained "
                f"to tell apart. Received: {len(classes)} classes."
            )
        return classes, numbers

    def predict_proba(self, pictures: Iterable[Image]) -> np.ndarray:
        """Probability of each class.

        Args:
            pictures: as for `fit`.

        Returns:
            float32 array [m, number of classes], in the order of `classes_`.

        Raises:
            ValueError: before `fit`, or for pictures that can't be read.
        """
        if self._adapter is None:
            raise ValueError("The classifier must learn classes first: call `fit`.")
        x = self.preparation.load(pictures, self.inverted_)
        # Normalised by themselves, queries are one set and can't be answered in parts.
        size = _PICTURES_AT_ONCE if self._adapter.statistics == "support" else len(x)
        parts = [x[i : i + size] for i in range(0, len(x), size)]
        outputs = [self._adapter.predict(self._adapted, part[None])[0] for part in parts]
        return probabilities(self.learner.task_loss, tf.concat(outputs, 0)).numpy()

    def predict(self, pictures: Iterable[Image]) -> np.ndarray:
        """The most probable label of each picture, array [m]; arguments as `predict_proba`."""
        most_probable = self.predict_proba(pictures).argmax(1)
        return self.classes_[most_probable]

    def score(self, pictures: Iterable[Image], labels: Iterable[Any]) -> float:
        """The fraction of pictures whose predicted label is right.

        Raises:
            ValueError: as `predict_proba`, or for labels that `fit` didn't see.
        """
        found, labels = self.predict(pictures), _as_labels(labels)
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()))
        if unknown or labels.shape != found.shape:
            raise ValueError(
                f"`labels` must be {len(found)} of {self.classes_.tolist()}, as in `fit`. "
                f"Received: {labels.size} labels, unknown among them: {unknown}."
            )
        return float(np.mean(found == labels))


def _as_labels(labels: Iterable[Any]) -> np.ndarray:
    """An array of strings or of numbers; of both NumPy would make strings without a word."""
    values = np.asarray(list(labels) if isinstance(labels, Iterator) else labels, object)
    found = values.ravel().tolist()
    strings = all(isinstance(x, str) for x in found)
    if not strings and not all(isinstance(x, Number) and x == x for x in found):  # NaN != NaN
        raise ValueError(
            "`labels` must be all strings, or all numbers other than NaN. "
            f"Received: {sorted({repr(x) for x in found})}."
        )
    return np.asarray(values.tolist())


def _check_class_numbers(loss: TaskLoss) -> None:
    kind, has_class_numbers = output_kind(loss)
    if kind != "predictions" and not has_class_numbers:
        name = getattr(loss, "name", getattr(loss, "__name__", loss))
        raise ValueError(
            "The learner's loss must take class numbers, as `sparse_categorical_crossentropy` "
            f"does. Received: {name}, which takes one-hot labels."
        )
