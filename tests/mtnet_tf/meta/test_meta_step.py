import keras
import numpy as np
import pytest
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, layers, networks
from mtnet_tf.layers.fast_weights import SetStatistics
from mtnet_tf.layers.task_weights import find_task_weights
from mtnet_tf.meta import meta_step
from mtnet_tf.meta.losses import task_losses
from mtnet_tf.meta.mask_sampler import MaskSampler, align_masks
from mtnet_tf.tasks import Episode

LOSS = FewShotCrossentropy(1)
SEED = tf.constant([1, 2])


def small_network(**cell_options):
    model = networks.convolutional_network(
        (12, 12, 1), 3, num_filters=4, cell_options=cell_options, dtype="float64", seed=1
    )
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable + 0.2 * random.normal(size=variable.shape))
    return model


def gradients(model, episode, masks=None, **options):
    weights = find_task_weights(model)
    options = {"num_inner_steps": 2, "step_size": 0.1, "masks": masks, **options}
    return meta_step.meta_gradients(
        model, weights, model.trainable_variables, LOSS, episode, **options
    )


@pytest.fixture
def episode(image_episode):
    return image_episode(num_tasks=3, image_shape=(12, 12, 1))


def assert_same(ours, expected):
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_identity_t_and_full_mask_is_maml(episode):
    mtnet, maml = small_network(), small_network(transform=False, mask=None)
    for cell in mtnet.layers:
        if isinstance(cell, layers.TWLayer):
            cell.transform.assign(np.eye(cell.units))
    shared = [v for v in mtnet.variables if v.name not in ("transform", "mask_logits")]
    for ours, theirs in zip(shared, maml.variables, strict=True):
        theirs.assign(ours)
    full = lambda step: [1.0] * 10  # noqa: E731
    value, ours = gradients(mtnet, episode, full)
    expected_value, expected = gradients(maml, episode)
    np.testing.assert_allclose(value.query_losses, expected_value.query_losses, rtol=1e-12)
    names = {id(v) for v in shared}
    ours = [g for g, v in zip(ours, mtnet.trainable_variables, strict=True) if id(v) in names]
    assert_same(ours, expected)


def test_empty_mask_changes_nothing(episode):
    model = small_network()
    weights = find_task_weights(model)
    empty = align_masks(
        weights,
        {id(w.mask_logits): tf.zeros([1, *w.mask_logits.shape], tf.float64) for w in weights},
    )
    result, _ = gradients(model, episode, lambda step: empty)
    for start, end in zip(*result.trajectory.weights[::2], strict=True):
        np.testing.assert_array_equal(start, end)


def test_masked_units_of_the_network_keep_their_weights(episode):
    model = small_network()
    weights = find_task_weights(model)
    masks = MaskSampler(weights, 3, SEED)
    result, _ = gradients(model, episode, masks)
    drawn = masks(0)
    for start, end, mask in zip(*result.trajectory.weights[::2], drawn, strict=True):
        frozen = np.broadcast_to(mask == 0, start.shape)
        assert frozen.any()
        np.testing.assert_array_equal(start.numpy()[frozen], end.numpy()[frozen])


def test_copies_of_a_task_give_the_gradient_of_one(episode):
    model = small_network(mask=None)
    one = Episode(*(x[:1] for x in episode[:4]))
    copies = Episode(*(tf.repeat(x, 4, 0) for x in one[:4]))
    assert_same(gradients(model, copies)[1], gradients(model, one)[1])


def test_order_of_tasks_is_irrelevant(episode):
    model = small_network(mask=None)
    turned = Episode(*(tf.reverse(x, [0]) for x in episode[:4]))
    assert_same(gradients(model, turned)[1], gradients(model, episode)[1])


def test_meta_gradient_is_the_mean_over_single_tasks(episode):
    """Flattened tasks equal one task at a time."""
    model = small_network(mask=None)
    alone = [gradients(model, Episode(*(x[i : i + 1] for x in episode[:4])))[1] for i in range(3)]
    expected = [sum(parts) / 3 for parts in zip(*alone, strict=True)]
    assert_same(gradients(model, episode)[1], expected)


@pytest.mark.long
@pytest.mark.parametrize("jit", [False, True])
def test_compiled_equals_eager(episode, jit):
    model = small_network()
    masks = MaskSampler(find_task_weights(model), 3, SEED)
    drawn = masks(0)
    compiled = tf.function(
        lambda: gradients(model, episode, lambda step: drawn)[1], jit_compile=jit, autograph=False
    )
    assert_same(compiled(), gradients(model, episode, lambda step: drawn)[1])


@pytest.mark.long
def test_number_of_tasks_and_examples_may_be_unknown_when_traced(episode):
    model = small_network(mask=None)
    signature = [
        tf.TensorSpec([None, None, 12, 12, 1], tf.float64),
        tf.TensorSpec([None, None], tf.int32),
    ] * 2
    traced = tf.function(lambda *e: gradients(model, Episode(*e))[1], signature, autograph=False)
    assert_same(traced(*episode[:4]), gradients(model, episode)[1])


def test_first_order_gradient_is_that_at_the_adapted_weights(episode):
    model = small_network(mask=None)
    one = Episode(*(x[:1] for x in episode[:4]))
    result, first = gradients(model, one, first_order=True)
    adapted, weights = result.trajectory.fast_weights, find_task_weights(model)
    with tf.GradientTape() as tape:
        tape.watch(adapted)
        predictions = meta_step.predict(model, weights, adapted, one.query_x)
        loss = task_losses(LOSS, meta_step.flatten_tasks(one.query_y), predictions, 1)
    expected = {
        id(w.variable): g[0] for w, g in zip(weights, tape.gradient(loss, adapted), strict=True)
    }
    for variable, gradient in zip(model.trainable_variables, first, strict=True):
        if id(variable) in expected:
            np.testing.assert_allclose(gradient, expected[id(variable)], rtol=1e-9, atol=1e-12)


def test_zeta_learns_through_the_mask_even_in_first_order(episode):
    model = small_network()
    masks = MaskSampler(find_task_weights(model), 3, SEED)
    _, found = gradients(model, episode, masks, first_order=True)
    by_name = zip(model.trainable_variables, found, strict=True)
    assert all(np.any(g != 0) for v, g in by_name if v.name == "mask_logits")


def test_masks_are_drawn_once_per_task_unless_redraw_is_set(episode):
    weights = find_task_weights(small_network())
    once = MaskSampler(weights, 3, SEED)
    redrawn = MaskSampler(weights, 3, SEED, redraw=True)
    np.testing.assert_array_equal(once(0)[0], once(1)[0])
    np.testing.assert_array_equal(once(0)[0], redrawn(0)[0])
    assert np.any(redrawn(0)[0] != redrawn(1)[0])


def test_most_probable_masks_are_the_sign_of_zeta():
    model = small_network()
    weights = find_task_weights(model)
    masks = MaskSampler(weights, 3, SEED, most_probable=True)(0)
    logits = weights[0].mask_logits.logits.numpy()
    np.testing.assert_array_equal(np.ravel(masks[0]), logits >= 0)


def test_regularisers_of_the_model_are_added_to_the_meta_loss(episode):
    plain, decayed = (small_network(mask=None, transform_regularizer=r) for r in (None, "l2"))
    (value, without), (total, with_decay) = gradients(plain, episode), gradients(decayed, episode)
    cells = [x for x in decayed.layers if isinstance(x, layers.TWLayer)]
    penalty = sum(0.01 * np.sum(np.square(x.transform)) for x in cells)
    np.testing.assert_allclose(total.value - value.value, penalty, rtol=1e-6)
    changes = zip(decayed.trainable_variables, without, with_decay, strict=True)
    for variable, before, after in changes:
        expected = 0.02 * variable.numpy() if variable.name == "transform" else 0.0
        np.testing.assert_allclose(after - before, expected + np.zeros(variable.shape), atol=1e-7)


def test_frozen_cells_do_not_adapt():
    model = small_network()
    model.layers[0].trainable = False
    assert len(find_task_weights(model)) == 8


def test_model_without_built_cells_is_rejected():
    with pytest.raises(ValueError, match="`model` must be built"):
        find_task_weights(keras.Sequential([layers.TWDense(3)]))
    with pytest.raises(ValueError, match="at least one built, trainable TW layer .such as"):
        find_task_weights(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))


def test_losses_are_reduced_within_each_task():
    labels = tf.zeros([6, 1])
    predictions = tf.constant([[1.0], [2.0], [3.0], [0.0], [0.0], [6.0]])
    mean = task_losses(keras.losses.MeanSquaredError(), labels, predictions, 2)
    np.testing.assert_allclose(mean, [14 / 3, 12.0])
    total = task_losses(keras.losses.MeanSquaredError(reduction="sum"), labels, predictions, 2)
    np.testing.assert_allclose(total, [14.0, 36.0])
    own = task_losses(lambda y, p: tf.abs(y - p)[:, 0], labels, predictions, 2)
    np.testing.assert_allclose(own, [2.0, 2.0])


def test_few_shot_crossentropy_is_the_sum_over_shots():
    logits = tf.constant([[2.0, 0.0], [0.0, 1.0]])
    expected = np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))
    value = task_losses(FewShotCrossentropy(2), tf.constant([0, 1]), logits, 1)
    np.testing.assert_allclose(value, [expected / 2], rtol=1e-6)


def test_query_set_is_normalised_by_its_support_set(episode):
    """One query image with the statistics of its support set, computed with NumPy."""
    norm = layers.TaskBatchNormalization(epsilon=0.0, dtype="float64")
    model = keras.Sequential([keras.Input((12, 12, 1), dtype="float64"), norm])
    record = SetStatistics()
    meta_step.predict(model, [], [], episode.support_x, statistics=record)
    query = episode.query_x[:, :1]
    for _ in range(2):  # a record may be replayed more than once
        found = meta_step.predict(model, [], [], query, statistics=record.replay())
        support = episode.support_x.numpy()
        mean, std = (f(support, axis=(1, 2, 3, 4)) for f in (np.mean, np.std))
        expected = (query[:, 0].numpy() - mean[:, None, None, None]) / std[:, None, None, None]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
