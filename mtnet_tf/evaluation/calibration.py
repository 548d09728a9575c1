"""Whether predicted probabilities agree with frequencies, and which classes are confused."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Predictions sorted into bins by confidence (Guo et al., 2017, section 2).

    Attributes:
        edges: [bins + 1], edges of the bins.
        confidence: [bins], mean probability of the predicted class; NaN if a bin is empty.
        accuracy: [bins], fraction of correct predictions; NaN if a bin is empty.
        count: [bins], number of predictions.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: mean of `|accuracy - confidence|` over predictions."""
        filled = self.count > 0
        gap = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gap, weights=self.count[filled]))


def calibration(probabilities: np.ndarray, labels: np.ndarray, num_bins: int = 10) -> Calibration:
    """Compares confidence and accuracy.

    Example:
    >>> import numpy as np
    >>> p = np.array([[0.75, 0.25]] * 4)  # right three times out of four
    >>> calibration(p, np.array([0, 0, 0, 1])).error
    0.0

    Args:
        probabilities: [..., N].
        labels: [...], ints.
        num_bins: number of bins of equal width.

    Returns:
        `Calibration`.
    """
    confidence = probabilities.max(-1).ravel().astype(float)
    is_correct = (probabilities.argmax(-1) == labels).ravel()
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, num_bins - 1)
    count = np.bincount(bins, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        mean_confidence, accuracy = (
            np.bincount(bins, values, num_bins) / count for values in (confidence, is_correct)
        )
    return Calibration(edges, mean_confidence, accuracy, count)


def count_confusions(
    probabilities: np.ndarray, labels: np.ndarray, classes: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts how often class i was predicted as class j, and how often it could have been.

    Args:
        probabilities: [E, m, N].
        labels: [E, m], ints.
        classes: [E, N], the class (or group of classes) that each label stands for.
        num_classes: C, classes are numbered from 0.

    Returns:
        Pair (predictions [C, C], true class by predicted class; queries of class i in episodes that
        contain class j [C, C]).
    """
    episodes = np.arange(len(labels))[:, None]
    truth = np.take_along_axis(classes, labels, 1)  # [E, m]
    predicted = np.take_along_axis(classes, probabilities.argmax(-1), 1)  # [E, m]
    counts = np.zeros((num_classes, num_classes))
    queries, is_present = np.zeros((2, len(labels), num_classes))
    np.add.at(counts, (truth, predicted), 1)
    np.add.at(queries, (episodes, truth), 1)
    is_present[episodes, classes] = 1
    return counts, queries.T @ is_present


def confusion(
    probabilities: np.ndarray, labels: np.ndarray, classes: np.ndarray, num_classes: int
) -> np.ndarray:
    """How often class i was predicted as class j in the episodes that contain both.

    The arguments are those of `count_confusions`.

    Returns:
        Array [C, C] of rates; true class by predicted class; NaN if no episode contains both.
    """
    counts, chances = count_confusions(probabilities, labels, classes, num_classes)
    with np.errstate(invalid="ignore"):
        return counts / chances
