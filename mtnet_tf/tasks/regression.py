"""The regression tasks of sections 6.1 and 6.3: sinusoids and polynomials."""

import math

import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.tasks.episode import Episode
from mtnet_tf.tasks.task_distribution import TaskDistribution

TASK_DEFINITIONS = ("original", "paper")


class _Regression(TaskDistribution):
    """K support and Q query points of a random function on an interval.

    Attributes:
        num_inputs: D.
    """

    num_inputs = 1

    def __init__(
        self, num_shots: int = 10, num_queries: int = 10, task_definition: str = "original"
    ) -> None:
        """Checks and stores the arguments, see `Sinusoids`."""
        if task_definition not in TASK_DEFINITIONS:
            raise ValueError(
                f"`task_definition` must be one of {TASK_DEFINITIONS}. "
                f"Received: task_definition={task_definition!r}."
            )
        num_shots = seeds.validate_integer("num_shots", num_shots)
        num_queries = seeds.validate_integer("num_queries", num_queries)
        if num_shots <= 0 or num_queries <= 0:
            raise ValueError(
                "`num_shots` and `num_queries` must be positive. Received: "
                f"num_shots={num_shots}, num_queries={num_queries}."
            )
        self.num_shots = num_shots
        self.num_queries = num_queries
        self.task_definition = task_definition

    def _split(self, x: tf.Tensor, y: tf.Tensor) -> Episode:
        """Points [B, K+Q, ...] -> `Episode`."""
        k = self.num_shots
        return Episode(x[:, :k], y[:, :k], x[:, k:], y[:, k:])


class Sinusoids(_Regression):
    """`y = A sin(w x - b)`, x in [-5, 5], A in [0.1, 5], b in [0, pi], w in [0.8, 1.2].

    This is what the authors' code draws. With `task_definition="paper"` it is `w x + b` (eq. 18).

    Example:
    >>> episode = Sinusoids(num_shots=5).sample(tf.constant([0, 1]), num_tasks=2)
    >>> episode.support_x.shape
    TensorShape([2, 5, 1])
    """

    def __init__(
        self,
        num_shots: int = 10,
        num_queries: int = 10,
        task_definition: str = "original",
        oracle: bool = False,
    ) -> None:
        """Creates the distribution.

        Args:
            num_shots: K, support points.
            num_queries: Q, query points.
            task_definition: "original" or "paper".
            oracle: appends the parameters (A, b) of the task to every input, for the oracle
                baseline.

        Raises:
            ValueError: for an unknown definition or numbers that are not positive.
        """
        super().__init__(num_shots, num_queries, task_definition)
        self.oracle = oracle
        self.num_inputs = 3 if oracle else 1

    def sample(self, seed: tf.Tensor, num_tasks: int) -> Episode:
        """Draws tasks: inputs [B, K or Q, 1] (3 with `oracle`), targets [B, K or Q, 1]."""
        amplitude_seed, phase_seed, frequency_seed, x_seed = seeds.split(seed, 4)
        amplitude = seeds.uniform([num_tasks, 1, 1], amplitude_seed, 0.1, 5.0)
        phase = seeds.uniform([num_tasks, 1, 1], phase_seed, 0.0, math.pi)
        frequency = seeds.uniform([num_tasks, 1, 1], frequency_seed, 0.8, 1.2)
        x = seeds.uniform([num_tasks, self.num_shots + self.num_queries, 1], x_seed, -5.0, 5.0)
        sign = 1.0 if self.task_definition == "paper" else -1.0
        y = amplitude * tf.sin(frequency * x + sign * phase)
        if self.oracle:
            identity = tf.concat([amplitude, phase], -1)  # [B, 1, 2]
            x = tf.concat([x, tf.repeat(identity, tf.shape(x)[1], axis=1)], -1)
        return self._split(x, y)


class Polynomials(_Regression):
    """`y = sum_i c_i x^i` for i up to `order`, x in [-2, 2], c_i uniform in [-1, 1] / 2^i.

    The division by 2^i and the range of x are those of the authors' code. The paper (section 6.3)
    does not divide and gives no range; `task_definition="paper"` omits the division.
    """

    def __init__(
        self,
        order: int = 1,
        num_shots: int = 10,
        num_queries: int = 10,
        task_definition: str = "original",
    ) -> None:
        """Creates the distribution.

        Args:
            order: highest power, int >= 0.
            num_shots: K, support points.
            num_queries: Q, query points.
            task_definition: "original" or "paper".

        Raises:
            ValueError: for a negative order, an unknown definition or numbers below 1.
        """
        super().__init__(num_shots, num_queries, task_definition)
        self.order = seeds.validate_integer("order", order, 0)

    def sample(self, seed: tf.Tensor, num_tasks: int) -> Episode:
        """Draws tasks: inputs [B, K or Q, 1], targets [B, K or Q, 1]."""
        coefficient_seed, x_seed = seeds.split(seed, 2)
        powers = tf.range(self.order + 1, dtype=tf.float32)
        c = seeds.uniform([num_tasks, 1, self.order + 1], coefficient_seed, -1.0, 1.0)
        if self.task_definition == "original":
            c /= 2.0**powers
        x = seeds.uniform([num_tasks, self.num_shots + self.num_queries, 1], x_seed, -2.0, 2.0)
        y = tf.reduce_sum(c * x**powers, -1, keepdims=True)  # [B, K+Q, 1]
        return self._split(x, y)
