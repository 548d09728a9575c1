"""The dynamic programme of mAP-SSVM against all rankings, and its gradient."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from maml_baselines.metric.map_ranking import (
    best_ranking,
    direct_loss,
    hinge,
    ranking_losses,
    ranking_values,
)


def score(order, positives, negatives):
    """Score of a ranking from its definition; `order` lists numbers of images, positives first."""
    place = {image: rank for rank, image in enumerate(order)}
    p, m = len(positives), len(negatives)
    total = sum(
        (1 if place[i] < place[p + j] else -1) * (positives[i] - negatives[j])
        for i in range(p)
        for j in range(m)
    )
    return total / (p * m)


def average_precision(order, num_positives):
    hits, precisions = 0, []
    for rank, image in enumerate(order, start=1):
        if image < num_positives:
            hits += 1
            precisions.append(hits / rank)
    return np.mean(precisions)


@pytest.mark.parametrize(("num_positives", "num_negatives"), [(1, 3), (2, 3), (3, 2), (3, 3)])
def test_dynamic_programme_finds_the_best_of_all_rankings(num_positives, num_negatives, rng):
    for _ in range(5):
        positives = np.sort(rng.uniform(-1, 1, num_positives))[::-1]
        negatives = np.sort(rng.uniform(-1, 1, num_negatives))[::-1]
        orders = list(itertools.permutations(range(num_positives + num_negatives)))
        every = [
            score(o, positives, negatives) + 1 - average_precision(o, num_positives) for o in orders
        ]
        values = ranking_values(tf.constant(positives.copy()), tf.constant(negatives.copy()))
        np.testing.assert_allclose(best_ranking(values), max(every))
        right = score(range(num_positives + num_negatives), positives, negatives)
        found = hinge(tf.constant(positives.copy()), tf.constant(negatives.copy()))
        np.testing.assert_allclose(found, max(every) - right)


def test_hinge_gradient_is_that_of_the_best_ranking():
    positives = tf.constant([0.3, -0.2], tf.float64)
    negatives = tf.constant([0.5, 0.1, -0.6], tf.float64)
    theory, numeric = tf.test.compute_gradient(hinge, [positives, negatives])
    for a, b in zip(theory, numeric, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("epsilon", [0.25, 1.0])
def test_direct_loss_compares_the_best_rankings_with_and_without_their_loss(epsilon, rng):
    for _ in range(5):
        positives, negatives = (np.sort(rng.uniform(-1, 1, n))[::-1] for n in (2, 3))
        orders = list(itertools.permutations(range(5)))
        scores = np.array([score(o, positives, negatives) for o in orders])
        losses = np.array([1 - average_precision(o, 2) for o in orders])
        found = direct_loss(*map(tf.constant, (positives.copy(), negatives.copy())), epsilon)
        expected = (np.max(scores + epsilon * losses) - np.max(scores)) / epsilon
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_direct_loss_of_a_small_epsilon_is_the_loss_of_the_ranking_by_score():
    positives, negatives = tf.constant([0.9, 0.1], tf.float64), tf.constant([0.5], tf.float64)
    found = direct_loss(positives, negatives, 1e-3)
    np.testing.assert_allclose(found, 1 - (1 + 2 / 3) / 2)  # correct, wrong, correct


def test_the_loss_of_well_separated_classes_is_zero():
    found = hinge(tf.constant([40.0, 39.0]), tf.constant([-39.0, -40.0]))
    np.testing.assert_allclose(found, 0, atol=1e-5)


def test_each_image_of_a_task_ranks_the_others(rng):
    embedded = rng.normal(size=(1, 6, 4))
    labels = tf.constant([[0, 1, 2, 2, 0, 1]])
    unit = embedded[0] / np.linalg.norm(embedded[0], axis=1, keepdims=True)
    cosines, losses = unit @ unit.T, []
    for i, own in enumerate(labels.numpy()[0]):
        same = [j for j in range(6) if labels.numpy()[0, j] == own and j != i]
        other = [j for j in range(6) if labels.numpy()[0, j] != own]
        halves = (np.sort(cosines[i, part])[::-1].copy() for part in (same, other))
        losses.append(hinge(*map(tf.constant, halves)))
    found = ranking_losses(tf.constant(embedded), labels, 3)
    np.testing.assert_allclose(found, [np.mean(losses)])
