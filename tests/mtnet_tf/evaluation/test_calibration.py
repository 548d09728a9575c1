import numpy as np
import pytest

from mtnet_tf.evaluation.calibration import calibration, confusion


def test_predictions_are_binned_by_confidence():
    # Three predictions at 0.9, of which two are correct; one at 0.6, which is wrong.
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.4, 0.6]])
    found = calibration(probabilities, np.array([0, 1, 1, 0]), num_bins=5)
    np.testing.assert_array_equal(found.count, [0, 0, 1, 0, 3])
    np.testing.assert_allclose(found.confidence[[2, 4]], [0.6, 0.9])
    np.testing.assert_allclose(found.accuracy[[2, 4]], [0.0, 2 / 3])
    assert found.error == pytest.approx((0.6 + 3 * (0.9 - 2 / 3)) / 4)


def test_calibrated_probabilities_have_no_calibration_error(rng):
    p = rng.uniform(0.5, 1.0, 40_000)
    labels = (rng.random(40_000) > p).astype(int)  # label 0 with probability p
    assert calibration(np.stack([p, 1 - p], 1), labels).error < 0.01


def test_confusion_counts_only_episodes_that_contain_both_classes():
    classes = np.array([[2, 0], [0, 1], [1, 2]])  # of labels 0 and 1
    labels = np.array([[0, 1], [0, 1], [0, 1]])
    answers = np.array([[1, 1], [0, 1], [0, 0]])
    rates = confusion(np.eye(2)[answers], labels, classes, 3)
    # Class 0 was correct in both of its episodes. Class 2 met 0 once and 1 once, and was
    # predicted as the other class each time.
    np.testing.assert_allclose(rates, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])


def test_classes_without_a_common_episode_have_no_rate():
    rates = confusion(np.eye(2)[[[0, 1]]], np.array([[0, 1]]), np.array([[0, 1]]), 3)
    assert np.isnan(rates[0, 2]) and np.isnan(rates[2, 2]) and rates[0, 1] == 0
