"""`FewShotClassifier`: a trained run that learns a user's own classes from a few images."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Number
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import tensorflow as tf

from data_prep.images import Picture
from mtnet_tf.adaptation import Adapter, ModelInputs, check_class_numbers
from mtnet_tf.experiments import Run, load_learner
from mtnet_tf.learners import MetaLearner
from mtnet_tf.pictures.image_preparation import INVERT, Preparation
from mtnet_tf.pictures.one_or_several import list_pictures

_PICTURES_AT_ONCE = 256


class FewShotClassifier:
    """Learns new classes of images from a few examples of each, like a scikit-learn classifier.

    One image is a path, a Pillow image, or an array [H, W] or [H, W, C] with C = 1 (grey), 3 (RGB)
    or 4 (RGB and opacity). Several images are an iterable of these (a list, a column of a table),
    or an array [m, H, W, C]. An array [m, H, W] is m grey images, unless it could be one image. If
    it is unclear, an error asks for a list. Arrays contain uint8, uint16 or bool, see
    `data_prep.load_picture`; images may have any size. For one image, the results have one row.

    Example:
    >>> import numpy as np
    >>> from mtnet_tf import FewShotCrossentropy, MetaLearner, convolutional_network
    >>> network = convolutional_network((28, 28, 1), num_ways=5, num_filters=2)
    >>> learner = MetaLearner(network, step_size=0.4)  # usually the folder of a trained run
    >>> learner.compile("adam", FewShotCrossentropy(1))
    >>> images = np.zeros([3, 28, 28], "uint8")
    >>> classifier = FewShotClassifier(learner).fit(images, ["ka", "ka", "ga"])
    >>> classifier.predict(images).shape, classifier.predict(images[0]).shape
    ((3,), (1,))

    Attributes:
        classes_: the sorted labels given to `fit`.
        inverted_: whether images are inverted.
        inversion_: a sentence that explains why.
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
        """Loads the learner of a run, or stores the given one.

        Args:
            run_folder: folder of a run that was trained on images; or a compiled learner.
            iteration: iteration of the checkpoint, -1 for the best on validation.
            invert: whether to invert light and dark. "auto" decides it for drawings (Omniglot) from
                the support set, and issues a warning with the result; photographs are not inverted.
            drawings: for a learner: whether it was trained on black and white drawings.
            num_inner_steps: number of inner steps; None for the number in training.
            masks: see `Adapter`.
            statistics: see `Adapter`. With "support", each prediction is independent.

        Raises:
            ValueError: if there is no such run, or an argument is invalid.
        """
        if invert not in INVERT:
            raise ValueError(f"`invert` must be one of {INVERT}. Received: invert={invert!r}.")
        self.invert = invert
        if isinstance(run_folder, MetaLearner):
            self.learner = run_folder
            shape = _image_shape(self.learner)
            self.preparation = Preparation.of_kind(shape, drawings)
        else:
            run = Run(run_folder)
            config = run.config()
            learner = load_learner(run.find(iteration))
            if not isinstance(learner, MetaLearner):
                raise ValueError(
                    "The run must have been trained with a method that adapts weights. "
                    f"Received: {run.path}, a run of {type(learner).__name__}."
                )
            self.learner = learner
            shape = _image_shape(learner)
            resampling = (config.get("data") or {}).get("resampling")
            self.preparation = Preparation.of_run(run.settings(), shape, resampling)
        self._options = {
            "num_inner_steps": num_inner_steps,
            "masks": masks,
            "statistics": statistics,
        }
        adapter = Adapter(self.learner, **self._options)  # reports invalid options immediately
        check_class_numbers(self.learner.task_loss, adapter.inputs.output_shape)
        self._most_classes = adapter.num_classes
        self._adapter = None

    def fit(self, pictures: Picture | Iterable[Picture], labels: Iterable[Any]) -> Self:
        """Adapts the network to a support set.

        Args:
            pictures: images, see `FewShotClassifier`.
            labels: one label per image, all strings or all numbers. There may be as many classes as
                the model distinguishes, and at least two. Classes have equal weight, even if the
                numbers of their images differ.

        Returns:
            The classifier.

        Raises:
            ValueError: for invalid labels or images.
        """
        labels = _as_labels(labels)
        pictures = self._list(pictures, labels.size)
        classes, numbers = self._classes(pictures, labels)
        inverted, sentence = bool(self.invert), "As requested."
        if self.invert == "auto":
            inverted, sentence = self.preparation.inverts(pictures)
            if self.preparation.drawings:
                warnings.warn(sentence, stacklevel=2)
        x = self.preparation.load(pictures, inverted)
        self._adapter = Adapter(self.learner, num_ways=len(classes), **self._options)
        support_x, support_y = tf.constant(x[None]), tf.constant(numbers[None], tf.int32)
        self._adapted = self._adapter.adapt(support_x, support_y)
        self.classes_, self.inverted_, self.inversion_ = classes, inverted, sentence
        return self

    def _list(self, pictures: Picture | Iterable[Picture], num_labels: int) -> list[Picture]:
        return list_pictures(pictures, self.preparation.image_shape[-1], num_labels)

    def _classes(
        self, pictures: Sequence[Picture], labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        classes, numbers = np.unique(labels, return_inverse=True)
        most = self._most_classes
        if labels.shape != (len(pictures),):
            raise ValueError(
                "`labels` must contain one label for each of `pictures`. "
                f"Received: {numbers.size} labels, {len(pictures)} images."
            )
        if not 2 <= len(classes) <= most:
            expected = "2" if most == 2 else f"from 2 to {most}"
            raise ValueError(
                f"`labels` must contain {expected} classes; the model was trained to distinguish "
                f"{most}. Received: {len(classes)} classes."
            )
        return classes, numbers

    def predict_proba(self, pictures: Picture | Iterable[Picture]) -> np.ndarray:
        """Probability of each class.

        Args:
            pictures: one image or several, see `FewShotClassifier`.

        Returns:
            float32 array [m, number of classes], in the order of `classes_`.

        Raises:
            ValueError: before `fit`, for images that cannot be read, or if the learner was trained
                with a hinge loss, which has no probabilities.
        """
        adapter = self._fitted()
        return self._of_all(adapter.predict_probabilities, pictures)

    def _fitted(self) -> Adapter:
        if self._adapter is None:
            raise ValueError("The classifier has not learned any classes. Call `fit` first.")
        return self._adapter

    def _of_all(
        self, answer: Callable[..., tf.Tensor], pictures: Picture | Iterable[Picture]
    ) -> np.ndarray:
        """Answers [m, ...] of the adapted network for any number of images."""
        x = self.preparation.load(pictures, self.inverted_)
        # Queries that are normalised by their own statistics must remain one set.
        size = _PICTURES_AT_ONCE if self._options["statistics"] == "support" else len(x)
        parts = [x[i : i + size] for i in range(0, len(x), size)]
        found = [answer(self._adapted, tf.constant(part[None]))[0] for part in parts]
        return tf.concat(found, 0).numpy()

    def predict(self, pictures: Picture | Iterable[Picture]) -> np.ndarray:
        """The most probable label of each image, array [m], [1] for one; see `predict_proba`."""
        adapter = self._fitted()
        return self.classes_[self._of_all(adapter.predict_classes, pictures)]

    def score(self, pictures: Picture | Iterable[Picture], labels: Iterable[Any]) -> float:
        """The fraction of images whose predicted label is right.

        Args:
            pictures: one image or several, see `FewShotClassifier`.
            labels: the true label of each image.

        Returns:
            Accuracy, from 0 to 1.

        Raises:
            ValueError: as `predict_proba`, or for labels that were not given to `fit`.
        """
        labels = _as_labels(labels)
        found = self.predict(self._list(pictures, labels.size))
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()))
        if unknown or labels.shape != found.shape:
            raise ValueError(
                f"`labels` must contain {len(found)} labels from {self.classes_.tolist()}, the "
                f"classes given to `fit`. Received: {labels.size} labels, unknown among them: "
                f"{unknown}."
            )
        return float(np.mean(found == labels))


def _image_shape(learner: MetaLearner) -> list[int]:
    """Shape [H, W, C] of the images that the model of a learner takes."""
    shape = ModelInputs(learner.model).shapes
    if isinstance(shape, dict) or len(shape) != 3 or None in shape:
        raise ValueError(
            "The model must have one input, images [H, W, C] of a fixed size. "
            f"Received: inputs of shape {shape}."
        )
    return shape


def _as_labels(labels: Iterable[Any]) -> np.ndarray:
    """Labels as an array.

    Raises:
        ValueError: for a mixture of strings and numbers, which NumPy would turn into strings.
    """
    values = np.asarray(list(labels) if isinstance(labels, Iterator) else labels, object)
    values = np.atleast_1d(values)  # the label of one image
    found = values.ravel().tolist()
    strings = all(isinstance(x, str) for x in found)
    if not strings and not all(isinstance(x, Number) and x == x for x in found):  # NaN != NaN
        raise ValueError(
            "`labels` must be all strings, or all numbers other than NaN. "
            f"Received: {sorted({repr(x) for x in found})}."
        )
    return np.asarray(values.tolist())
