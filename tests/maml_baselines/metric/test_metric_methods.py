"""Metric methods and supervised baselines, compared with results by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_baselines import METHODS, build_learner, resolve
from maml_baselines.metric.map_ranking import MAPRanking
from maml_baselines.metric.matching import FullContextMatchingNetwork, attend
from maml_baselines.metric.pretrained import classification_loss
from maml_baselines.metric.prototypical import PrototypicalNetwork, prototypes
from mtnet_tf import FewShotCrossentropy, ImageClasses, Sinusoids, evaluate
from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.tasks import Episode

SEED = tf.constant([0, 1])
METRIC_METHODS = [name for name, method in METHODS.items() if method.any_ways]


def test_prototype_of_a_cluster_is_its_centre():
    support = tf.constant([[[0.0, 0.0], [5.0, 5.0], [2.0, 4.0], [7.0, 5.0]]])
    labels = tf.one_hot([[0, 1, 0, 1]], 2)
    np.testing.assert_allclose(prototypes(support, labels), [[[1, 2], [6, 5]]])


def test_prototypical_answer_is_the_softmax_of_squared_distances():
    learner = identity_embedding(PrototypicalNetwork)
    support = tf.constant([[[1.0, 0.0], [0.0, 2.0]]])
    logits = learner.compare(support, tf.one_hot([[0, 1]], 2), tf.constant([[[1.0, 1.0]]]))
    np.testing.assert_allclose(logits, [[[-1.0, -2.0]]])


def test_attention_of_matching_networks_by_hand():
    support = tf.constant([[[3.0, 0.0], [0.0, 1.0], [-2.0, 0.0]]])
    labels = tf.one_hot([[0, 1, 1]], 2)
    found = attend(tf.constant([[[0.5, 0.0]]]), support, labels)
    attention = np.exp([1.0, 0.0, -1.0]) / np.exp([1.0, 0.0, -1.0]).sum()
    expected = [[[attention[0], attention[1] + attention[2]]]]
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-6)


def identity_embedding(kind, **options):
    inputs = keras.Input((2,))
    return kind(keras.Model(inputs, keras.layers.Identity()(inputs)), 2, **options)


def full_context(rng, scale):
    learner = identity_embedding(FullContextMatchingNetwork)
    for variable in learner.trainable_variables:
        variable.assign(variable + scale * rng.normal(size=variable.shape))
    return learner


def test_there_is_no_context_at_first_and_it_is_learned(rng):
    """Zero LSTMs leave the skip connections: f = f', g = g'."""
    learner = full_context(rng, 0.0)
    support = tf.constant([[[1.0, 0.5], [0.0, 2.0]]])
    query = tf.constant([[[1.0, 1.0], [3.0, -1.0], [0.0, 1.0]]])
    np.testing.assert_allclose(learner.embed_support(support), support)
    np.testing.assert_allclose(learner.embed_query(query, support), query)
    with tf.GradientTape() as tape:
        answers = learner.compare(support, tf.one_hot([[0, 1]], 2), query)
        value = tf.reduce_sum(answers[0, :, 0])
    biases = [v for v in learner.trainable_variables if v.name == "bias"]
    assert len(biases) == 3
    assert all(np.any(g != 0) for g in tape.gradient(value, [v.value for v in biases]))


def test_query_context_does_not_depend_on_the_order_of_the_support_set(rng):
    learner = full_context(rng, 0.5)
    support = tf.constant([[[1.0, 0.5], [0.0, 2.0], [-1.0, 1.0]]])
    query = tf.constant([[[1.0, 1.0]]])
    found = learner.embed_query(query, support)
    assert np.any(np.abs(found - query) > 0.01)
    reversed_set = learner.embed_query(query, tf.reverse(support, [1]))
    np.testing.assert_allclose(found, reversed_set, rtol=1e-5)


def test_support_context_reads_in_both_directions(rng):
    """Reversing the set and exchanging the two LSTMs reverses the embeddings."""
    learner = full_context(rng, 0.5)
    support = tf.constant([[[1.0, 0.5], [0.0, 2.0], [-1.0, 1.0]]])
    found = learner.embed_support(support)
    cells = learner.forward_cell, learner.backward_cell
    learner.backward_cell, learner.forward_cell = cells
    reversed_set = learner.embed_support(tf.reverse(support, [1]))
    np.testing.assert_allclose(tf.reverse(reversed_set, [1]), found, rtol=1e-6)


def tiny_pictures(num_ways=3):
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), np.uint8)
    return ImageClasses(images, [6] * 10, num_ways=num_ways, num_shots=1, num_queries=2)


SMALL = {"data_source": "omniglot", "num_filters": 4, "num_ways": 3, "num_train_ways": 0}
SMALL["run_eagerly"] = True


def learner(name, **given):
    return build_learner(resolve({**SMALL, "method": name, **given}), tiny_pictures())


def test_supervised_loss_is_over_the_classes_of_the_data_set():
    episode = tiny_pictures().sample(SEED, 2)
    numbers = [tf.gather(episode.classes, y, batch_dims=1) for y in episode[1:4:2]]

    def certain(x):  # features that contain the true class
        own = numbers[0] if x is episode.support_x else numbers[1]
        return tf.reshape(50.0 * tf.one_hot(own, 10), [-1, 10])

    result = classification_loss(certain, tf.identity, range(10), episode)
    np.testing.assert_allclose(result.value, 0, atol=1e-6)
    right = tf.argmax(result.query_predictions, -1, tf.int32) == tf.reshape(episode.query_y, [-1])
    assert np.all(right)


def test_supervised_loss_requires_the_classes():
    episode = Episode(*tiny_pictures().sample(SEED, 2)[:4])
    with pytest.raises(ValueError, match="`episode.classes` must contain"):
        classification_loss(tf.identity, tf.identity, range(10), episode)


@pytest.mark.parametrize("name", ["nearest", "finetune"])
def test_supervised_baselines_require_image_classes(name):
    with pytest.raises(
        ValueError, match="`tasks` must be an `ImageClasses`. Received: .*Sinusoids"
    ):
        build_learner(resolve({**SMALL, "method": name}), Sinusoids())


@pytest.mark.parametrize("name", ["nearest", "finetune"])
def test_the_classifier_has_an_output_for_each_training_class(name):
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), np.uint8)
    shape = {"num_ways": 3, "num_shots": 1, "num_queries": 2}
    tasks = ImageClasses(images, [6] * 10, classes=[9, 2, 4, 5], **shape)
    settings = resolve({**SMALL, "method": name})
    found = build_learner(settings, tasks)
    assert found.classes == (2, 4, 5, 9) and found.classifier.kernel.shape[-1] == 4
    episode = tasks.sample(SEED, 2)
    found.classifier.bias.assign([0.0, 100.0, 0.0, 0.0])  # class 4 for every image
    answers = found.meta_loss(episode, SEED, training=True).query_predictions
    labels = tf.repeat(tf.cast(episode.classes == 4, tf.int32), 6, 0)  # [B*m, N]
    np.testing.assert_array_equal(answers > 50, labels)


def test_map_ssvm_predicts_the_class_with_the_most_similar_images():
    support = tf.constant([[[1.0, 0.1], [0.0, 1.0], [1.0, 0.0], [0.1, 1.0]]])
    query = tf.constant([[[2.0, 0.3], [0.2, 5.0]]])
    found = learner("map-ssvm").compare(support, tf.one_hot([[0, 1, 0, 1]], 2), query)
    np.testing.assert_array_equal(tf.argmax(found, -1), [[0, 1]])


def test_nearest_neighbour_finds_the_image_with_the_same_direction():
    support = tf.constant([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    query = tf.constant([[[9.0, 0.1], [0.1, 0.2], [0.0, 3.0]]])
    cosines = learner("nearest").compare(support, tf.one_hot([[0, 1, 2]], 3), query)
    np.testing.assert_array_equal(tf.argmax(cosines, -1), [[0, 2, 1]])


def test_pretraining_does_not_change_the_last_layer_of_fine_tuning():
    found = learner("finetune")
    head = found.model.layers[-1]
    before = head.kernel.numpy(), found.model.layers[0].kernel.numpy()
    found.fit(tiny_pictures(), batch_size=2, steps_per_epoch=1, verbose=0)
    np.testing.assert_array_equal(head.kernel, before[0])
    assert np.any(found.model.layers[0].kernel.numpy() != before[1])
    assert len(found.task_weights) == 10  # all layers adapt


@pytest.mark.parametrize("name", METRIC_METHODS)
def test_every_metric_method_trains_and_is_evaluated(name):
    found, tasks = learner(name), tiny_pictures()
    before = [v.numpy() for v in found.meta_parameters]
    found.fit(tasks, batch_size=2, steps_per_epoch=1, verbose=0, validation_data=tasks,
              validation_steps=1)  # fmt: skip
    moved = [np.any(a != b) for a, b in zip(before, found.meta_parameters, strict=True)]
    assert any(moved)
    result = evaluate(found, tasks, num_episodes=20, num_inner_steps=2, verbose=0)
    assert result.query.shape == (20, 3) and result.inductive.shape == (20, 3)
    if name != "finetune":
        np.testing.assert_allclose(result.query[:, 0], 1 / 3, rtol=1e-6)  # chance
        np.testing.assert_array_equal(result.query[:, 1], result.query[:, 2])


def test_a_metric_method_trains_on_more_ways_than_it_is_tested_on():
    found, seed = learner("prototypical", num_train_ways=5), tf.constant([0, 1])
    for num_ways, training in ((5, True), (3, False)):
        episode = tiny_pictures(num_ways).sample(seed, 2)
        result = found.meta_loss(episode, seed, training=training)
        assert result.query_predictions.shape == (2 * num_ways * 2, num_ways)
    before = [v.numpy() for v in found.meta_parameters]
    history = found.fit(tiny_pictures(5), batch_size=1, steps_per_epoch=1, verbose=0,
                        validation_data=tiny_pictures(3), validation_steps=1).history  # fmt: skip
    assert any(np.any(a != b) for a, b in zip(before, found.meta_parameters, strict=True))
    assert np.isfinite(history["loss"] + history["val_loss"]).all()


@pytest.mark.parametrize("kind", [PrototypicalNetwork, MAPRanking])
def test_labels_may_have_any_dtype_and_shape(kind, rng):
    x, numbers = rng.normal(size=(2, 4, 2)).astype("float32"), np.array([[0, 1, 0, 1]] * 2)
    losses = []
    for labels in (
        numbers,
        numbers.astype("int16"),
        numbers.astype("float32")[..., None],
        numbers.astype(bool),
        np.eye(2)[numbers],
    ):
        learner = identity_embedding(kind)
        loss = FewShotCrossentropy(2, one_hot=labels.shape[-1] == 2)
        learner.compile("sgd", loss, jit_compile=False)
        episode = Episode(*map(tf.constant, (x, labels, x, labels)))
        losses.append([learner.meta_loss(episode, SEED, training=t).value for t in (True, False)])
    np.testing.assert_allclose(losses, [losses[0]] * len(losses), rtol=1e-6)


def test_labels_are_checked_against_the_classes_of_a_task():
    learner = identity_embedding(PrototypicalNetwork, num_train_ways=3)
    learner.compile("sgd", FewShotCrossentropy(1), run_eagerly=True)
    x, y = np.zeros([2, 3, 2], "float32"), np.array([[0, 1, 2]] * 2)
    learner.check_labels(y, y, "train")
    with pytest.raises(ValueError, match="from 0 to 1, .* Received: 0, 1, 2"):
        learner.evaluate(((x, y), (x, y)), verbose=0)
    with pytest.raises(ValueError, match="from 0 to 2, .* Received: 1, 2, 3. Subtract 1"):
        learner.check_labels(y + 1, y, "train")


def test_a_learner_without_inner_steps_cannot_be_exported():
    with pytest.raises(
        ValueError, match="must adapt its weights .* PrototypicalNetwork.*`predictors`"
    ):
        Adapter(learner("prototypical"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"method": "prototypical"},
            "`method=prototypical` classifies images. Received: data_source",
        ),
        (
            {"data_source": "omniglot", "num_train_ways": 9},
            "`num_train_ways` requires a method whose network has no output",
        ),
        (
            {"method": "nearest", "data_source": "omniglot", "num_train_ways": 1},
            "`num_train_ways` must be at least 2, or 0 for",
        ),
    ],
)
def test_settings_that_metric_methods_do_not_allow_are_errors(given, message):
    with pytest.raises(ValueError, match=message):
        resolve(given)


@pytest.mark.slow
@pytest.mark.parametrize("name", METRIC_METHODS)
def test_a_metric_method_saved_during_training_continues_with_the_same_bits(name, tmp_path):
    whole, tasks = learner(name, convolutional=False), tiny_pictures()
    options = {"batch_size": 2, "steps_per_epoch": 2, "verbose": 0}
    whole.fit(tasks, **options)
    whole.save(tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    whole.fit(tasks, **options)
    resumed.fit(tasks, **options)
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(a, b)
