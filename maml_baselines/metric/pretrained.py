"""The supervised baselines of Ravi & Larochelle (2017, section 5.1).

A network is trained to classify all C training classes, on the images of the same episodes. For a
new task, `FineTune` replaces the last layer and trains all layers on the support set;
`NearestNeighbour` compares features.

Deviations: normalisation uses batch statistics; on Omniglot, the rotations of a character are one
class; the decay of the learning rate is not tuned.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_baselines.metric.matching import cosine_similarity
from maml_baselines.metric.metric_learner import MetricLearner, as_numbers
from mtnet_tf import MetaLearner
from mtnet_tf.adaptation import ModelInputs
from mtnet_tf.layers import FastWeightScope
from mtnet_tf.meta import InnerTrajectory, MetaLoss, count_tasks, flatten_tasks
from mtnet_tf.tasks import Episode


def classification_loss(
    embed: Callable[[tf.Tensor], tf.Tensor],
    classifier: Callable[[tf.Tensor], tf.Tensor],
    classes: Sequence[int],
    episode: Episode,
) -> MetaLoss:
    """The mean cross-entropy over all training classes, for every image of an episode batch.

    Args:
        embed: function [B, n, ...] -> features [B*n, D].
        classifier: layer, features [.., D] -> logits [.., C].
        classes: numbers of the training classes in the data set, ascending, ints [C].
        episode: its `classes` [B, N] are some of these.

    Returns:
        The loss; the predictions [B*m, N] are the logits of the N classes of each task.

    Raises:
        ValueError: for episodes without `classes`.
    """
    if episode.classes is None:
        raise ValueError(
            "`episode.classes` must contain the class of the data set for each label. "
            "Received: classes=None. Train on an `ImageClasses`."
        )
    logits = [classifier(embed(x)) for x in (episode.support_x, episode.query_x)]
    places = tf.searchsorted(tf.constant(classes), tf.reshape(episode.classes, [-1]))
    places = tf.reshape(places, tf.shape(episode.classes))  # [B, N], among the C
    numbers = [
        flatten_tasks(tf.gather(places, as_numbers(y), batch_dims=1))
        for y in (episode.support_y, episode.query_y)
    ]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.concat(numbers, 0), tf.concat(logits, 0)
    )
    num_tasks = count_tasks(episode.query_x)
    query = tf.reshape(logits[1], [num_tasks, -1, logits[1].shape[-1]])
    answers = flatten_tasks(tf.gather(query, places, axis=2, batch_dims=1))
    value = tf.reduce_mean(losses)
    return MetaLoss(value, answers, tf.fill([num_tasks], value), InnerTrajectory([], []))


def _classifier(num_classes: int, depth: int, seed: int, dtype: str) -> keras.layers.Dense:
    """A built layer, features [.., depth] -> logits [.., num_classes]."""
    layer = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),  # pyright: ignore[reportArgumentType]
        dtype=dtype,
    )
    layer.build((None, depth))
    return layer


@keras.saving.register_keras_serializable(package="maml_baselines")
class FineTune(MetaLearner):
    """Fine-tune baseline: a new last layer, then gradient descent of all layers on a task.

    The last layer of `model` is the new one. Training does not change it.
    """

    def __init__(
        self, model: keras.Sequential, *args: Any, classes: Iterable[int], **kwargs: Any
    ) -> None:
        """Creates the learner.

        Args:
            model: built model of TW layers; the last layer has one output per class of a task.
            *args: further arguments of `MetaLearner`.
            classes: numbers of the training classes in the data set, ints [C].
            **kwargs: further arguments of `MetaLearner`.
        """
        super().__init__(model, *args, **kwargs)
        self.classes = tuple(sorted(int(c) for c in classes))
        features = model.layers[-2].output
        depth = features.shape[-1]  # pyright: ignore[reportAttributeAccessIssue]
        dtype = model.outputs[0].dtype
        self.classifier = _classifier(len(self.classes), depth, self.seed, dtype)

    @property
    def meta_parameters(self) -> list[keras.Variable]:
        """The variables of the network and of the classifier."""
        return [*super().meta_parameters, *self.classifier.trainable_variables]

    def features(self, x: tf.Tensor) -> tf.Tensor:
        """The inputs of the last layer before adaptation: [B, n, ...] -> [B*n, D]."""
        outputs = flatten_tasks(x)
        with FastWeightScope([], count_tasks(x)):
            for layer in self.model.layers[:-1]:
                outputs = layer(outputs)
        return outputs

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """The classification loss in training; the query loss after fine-tuning in validation."""
        if training:
            return classification_loss(self.features, self.classifier, self.classes, episode)
        return super().meta_loss(episode, seed, training=False)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {**super().get_config(), "classes": list(self.classes)}


@keras.saving.register_keras_serializable(package="maml_baselines")
class NearestNeighbour(MetricLearner):
    """Nearest-neighbour baseline: the class of the support image with the largest cosine."""

    def __init__(
        self,
        model: keras.Model,
        num_ways: int,
        num_train_ways: int | None = None,
        *,
        classes: Iterable[int],
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Creates the learner.

        Args:
            model: built Keras model, [n, ...] -> features [n, D].
            num_ways: N, classes of a task.
            num_train_ways: classes of a task in training; None for `num_ways`.
            classes: numbers of the training classes in the data set, ints [C].
            seed: run seed.
            **kwargs: Keras' `name`.
        """
        super().__init__(model, num_ways, num_train_ways, seed=seed, **kwargs)
        self.classes = tuple(sorted(int(c) for c in classes))
        output = ModelInputs(model)
        depth, dtype = output.output_shape[-1], output.output_dtype
        self.classifier = _classifier(len(self.classes), depth, self.seed, dtype)

    def meta_loss(self, episode: Episode, seed: tf.Tensor, *, training: bool) -> MetaLoss:
        """The classification loss in training; the query loss of the cosines in validation."""
        if not training:
            return super().meta_loss(episode, seed, training=False)
        return classification_loss(
            lambda x: flatten_tasks(self.embed(x, training=True)),
            self.classifier,
            self.classes,
            episode,
        )

    def compare(self, support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """The largest cosine with a support image of each class, see `MetricLearner.compare`."""
        cosines = tf.expand_dims(cosine_similarity(query, support), -1)  # [B, m, n, 1]
        return tf.reduce_max(tf.where(labels[:, None] > 0, cosines, -1.0), 2)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {**super().get_config(), "classes": list(self.classes)}
