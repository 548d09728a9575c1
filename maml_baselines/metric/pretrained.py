"""The baselines of Ravi & Larochelle (2017, section 5.1): a classifier of all training classes.

It is trained on the pictures of the same episodes, which say what their classes are in the data
set. A new task then fine-tunes it with a head of its own, or looks for nearest neighbours among
its features.
"""

import keras
import tensorflow as tf

from maml_baselines.metric.matching import cosine_similarity
from maml_baselines.metric.metric_learner import MetricLearner
from mtnet_tf import MetaLearner
from mtnet_tf.layers import FastWeightScope
from mtnet_tf.meta import InnerTrajectory, MetaLoss, count_tasks, flatten_tasks


def classification_loss(embed, classifier, classes, episode):
    """Cross-entropy over all training classes, of every picture of an episode batch.

    Args:
      embed: function [B, n, ...] -> features [B*n, D].
      classifier: layer, features -> logits [.., C].
      classes: numbers of the training classes in the data set, ascending, ints [C].
      episode: `Episode` with `classes`, some of these.

    Returns:
      `MetaLoss`, its predictions those among the N classes of each query's task.

    Raises:
      ValueError: for episodes that don't say their classes.
    """
    if episode.classes is None:
        raise ValueError(
            "Episodes must say which classes of the data set their labels stand for, `classes`. "
            "Received: classes=None. Train on an `ImageClasses`."
        )
    logits = [classifier(embed(x)) for x in (episode.support_x, episode.query_x)]
    places = tf.searchsorted(tf.constant(classes), tf.reshape(episode.classes, [-1]))
    places = tf.reshape(places, tf.shape(episode.classes))  # [B, N], among the C
    numbers = [
        flatten_tasks(tf.gather(places, y, batch_dims=1))
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


def _classifier(classes, depth, seed, dtype):
    kernel = keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(len(classes), kernel_initializer=kernel, dtype=dtype)
    layer.build((None, depth))
    return layer


@keras.saving.register_keras_serializable(package="maml_baselines")
class FineTune(MetaLearner):
    """Fine-tune baseline: the head is replaced, and all layers go down the support loss.

    The new head, the last layer of `model`, keeps its initial values in training.
    """

    def __init__(self, model, *args, classes, **kwargs):
        """Creates the learner.

        Args:
          model: built Keras `Sequential` of TW layers, the last one the head of a task.
          *args: as of `MetaLearner`.
          classes: numbers of the training classes in the data set, ints [C].
          **kwargs: as of `MetaLearner`.
        """
        super().__init__(model, *args, **kwargs)
        self.classes = tuple(sorted(int(c) for c in classes))
        depth, dtype = model.layers[-2].output.shape[-1], model.outputs[0].dtype
        self.classifier = _classifier(self.classes, depth, self.seed, dtype)

    @property
    def meta_parameters(self):
        """The network's and the classifier's variables."""
        return [*super().meta_parameters, *self.classifier.trainable_variables]

    def features(self, x):
        """What the head of the initial network sees: [B, n, ...] -> [B*n, D]."""
        outputs = flatten_tasks(x)
        with FastWeightScope([], count_tasks(x)):
            for layer in self.model.layers[:-1]:
                outputs = layer(outputs)
        return outputs

    def meta_loss(self, episode, seed, *, training):
        """Supervised in training; in validation the query loss after fine-tuning."""
        if training:
            return classification_loss(self.features, self.classifier, self.classes, episode)
        return super().meta_loss(episode, seed, training=False)

    def get_config(self):
        """Arguments to create the learner again."""
        return {**super().get_config(), "classes": list(self.classes)}


@keras.saving.register_keras_serializable(package="maml_baselines")
class NearestNeighbour(MetricLearner):
    """Nearest-neighbour baseline: the class of the support picture of the nearest direction."""

    def __init__(self, model, num_ways, num_train_ways=None, *, classes, **kwargs):
        """Creates the learner.

        Args:
          model: built Keras model, [n, ...] -> features [n, D].
          num_ways: N.
          num_train_ways: see `MetricLearner`.
          classes: numbers of the training classes in the data set, ints [C].
          **kwargs: as of `MetricLearner`.
        """
        super().__init__(model, num_ways, num_train_ways, **kwargs)
        self.classes = tuple(sorted(int(c) for c in classes))
        depth, dtype = model.output_shape[-1], model.outputs[0].dtype
        self.classifier = _classifier(self.classes, depth, self.seed, dtype)

    def meta_loss(self, episode, seed, *, training):
        """Supervised in training; in validation the loss of the nearest neighbours."""
        if not training:
            return super().meta_loss(episode, seed, training=False)
        return classification_loss(
            lambda x: flatten_tasks(self.embed(x, training=True)),
            self.classifier,
            self.classes,
            episode,
        )

    def compare(self, support, labels, query):
        """The cosine of the nearest support picture of each class."""
        cosines = cosine_similarity(query, support)[..., None]  # [B, m, n, 1]
        return tf.reduce_max(tf.where(labels[:, None] > 0, cosines, -1.0), 2)

    def get_config(self):
        """Arguments to create the learner again."""
        return {**super().get_config(), "classes": list(self.classes)}
