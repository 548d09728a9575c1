"""Means over episodes and their confidence intervals."""

import dataclasses

import numpy as np

NUM_RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class Summary:
    """Statistics over episodes, each an array [...].

    Attributes:
        mean: mean over episodes.
        std: standard deviation over episodes (of the population, as in the authors' code).
        ci95: half width of the 95 % interval of the mean, `1.96 * std / sqrt(E)`.
    """

    mean: np.ndarray
    std: np.ndarray
    ci95: np.ndarray


def summarize(scores: np.ndarray) -> Summary:
    """Mean, standard deviation and normal interval over the episodes.

    Example:
    >>> import numpy as np
    >>> float(summarize(np.array([1.0, 3.0])).mean)
    2.0

    Args:
        scores: [E, ...], scores of E episodes.

    Returns:
        `Summary` of arrays [...]. `ci95` is NaN for a single episode.
    """
    std = scores.std(0)
    ci95 = 1.96 * std / np.sqrt(len(scores))
    return Summary(scores.mean(0), std, ci95 if len(scores) > 1 else np.full_like(ci95, np.nan))


def bootstrap_interval(scores: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % percentile interval of the mean by resampling episodes (Efron, 1979).

    Unlike the normal interval, it is asymmetric where most scores are close to 0 or 1.

    Args:
        scores: [E, ...], scores of E distinct episodes.
        seed: seed of the resampling.

    Returns:
        Pair of arrays [...], lower and upper end.
    """
    draws = np.random.default_rng(seed).integers(0, len(scores), (NUM_RESAMPLES, len(scores)))
    # How often each episode was drawn: one matrix product instead of a huge gather.
    weights = np.stack([np.bincount(row, minlength=len(scores)) for row in draws])
    means = np.tensordot(weights.astype(float), scores, 1) / len(scores)  # [resamples, ...]
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low, high
