"""`Adapted`: what tasks have learned."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Adapted:
    """What B tasks have learned.

    Attributes:
        weights: fast weights, list of [B, *variable.shape].
        statistics: pairs (mean, variance), [B, 1, C] each, that normalise a query: one pair for
            each call of a normalisation layer. Empty if each set is normalised by its own
            statistics.
        layers: the layers that recorded `statistics`, in the same order.
    """

    weights: list[tf.Tensor]
    statistics: list[Any]
    layers: list[Any]
