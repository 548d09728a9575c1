"""Means over episodes, and how far to trust them."""

from typing import NamedTuple

import numpy as np

NUM_RESAMPLES = 2000


class Summary(NamedTuple):
    """Statistics over episodes, each an array [...].

    Attributes:
      mean: over episodes.
      std: standard deviation over episodes (of the population, as in the authors' code).
      ci95: half width of the 95 % interval of the mean, `1.96 * std / sqrt(episodes)`.
    """

    mean: np.ndarray
    std: np.ndarray
    ci95: np.ndarray


def summarize(scores):
    """Mean, standard deviation and normal interval over the first axis, the episodes.

    One episode has no interval: NaN.
    """
    std = scores.std(0)
    ci95 = 1.96 * std / np.sqrt(len(scores))
    return Summary(scores.mean(0), std, ci95 if len(scores) > 1 else np.full_like(ci95, np.nan))


def bootstrap_interval(scores, seed=0):
    """The 95 % percentile interval of the mean by resampling episodes (Efron, 1979).

    Unlike the normal interval it is not symmetric where scores pile up at 0 or 1.

    Args:
      scores: array [E, ...], E distinct episodes.
      seed: of the resampling.

    Returns:
      Pair of arrays [...], lower and upper end.
    """
    draws = np.random.default_rng(seed).integers(0, len(scores), (NUM_RESAMPLES, len(scores)))
    # How often each episode was drawn: one product in place of a huge gather.
    weights = np.stack([np.bincount(row, minlength=len(scores)) for row in draws])
    means = np.tensordot(weights.astype(float), scores, 1) / len(scores)  # [resamples, ...]
    return tuple(np.percentile(means, [2.5, 97.5], axis=0))
