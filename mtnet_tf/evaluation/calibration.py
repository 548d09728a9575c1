"""Whether probabilities mean what they say, and which classes are taken for which."""

from typing import NamedTuple

import numpy as np


class Calibration(NamedTuple):
    """Answers sorted by confidence into bins (Guo et al., 2017, section 2).

    Attributes:
      edges: [bins + 1], of the confidence.
      confidence: [bins], mean probability of the answer given; NaN where a bin is empty.
      accuracy: [bins], fraction of right answers; NaN where a bin is empty.
      count: [bins].
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def error(self):
        """Expected calibration error: mean of |accuracy - confidence| over answers."""
        filled = self.count > 0
        gap = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gap, weights=self.count[filled]))


def calibration(probabilities, labels, num_bins=10):
    """Confidence against accuracy.

    Args:
      probabilities: [..., N].
      labels: [...], ints.
      num_bins: bins of equal width.

    Returns:
      `Calibration`.
    """
    confidence = probabilities.max(-1).ravel().astype(float)
    right = (probabilities.argmax(-1) == labels).ravel()
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, num_bins - 1)
    count = np.bincount(bins, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(bins, w, num_bins) / count for w in (confidence, right)]
    return Calibration(edges, *means, count)


def confusion(probabilities, labels, classes, num_classes):
    """How often class i was taken for class j where an episode held both.

    Args:
      probabilities: [E, m, N].
      labels: [E, m], ints.
      classes: [E, N], which class (or group of classes) each label stands for.
      num_classes: C, classes are numbered from 0.

    Returns:
      Array [C, C]: row the true class, column the answer; NaN where no episode held both.
    """
    episodes = np.arange(len(labels))[:, None]
    truth = np.take_along_axis(classes, labels, 1)  # [E, m]
    answer = np.take_along_axis(classes, probabilities.argmax(-1), 1)
    taken, (queries, present) = (
        np.zeros((num_classes,) * 2),
        np.zeros((2, len(labels), num_classes)),
    )
    np.add.at(taken, (truth, answer), 1)
    np.add.at(queries, (episodes, truth), 1)
    present[episodes, classes] = 1
    with np.errstate(invalid="ignore"):
        return taken / (queries.T @ present)
