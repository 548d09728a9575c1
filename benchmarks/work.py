"""What is timed: networks, episodes, masks and initial weights, as NumPy arrays.

All contestants receive the same arrays, prepared before the timing. Nothing here imports a
framework.
"""

import dataclasses
import math
from typing import Any

import numpy as np

METHODS = ("mtnet", "maml")
LEARNING_RATE = 1e-3
ADAM_EPSILON = 1e-8
NORM_EPSILON = 1e-3
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Work:
    """The shapes of a meta-step.

    Attributes:
        name: of the work.
        method: "mtnet", or "maml": without T and without masks.
        tasks: B, tasks of a meta-batch.
        ways: N, outputs of the network.
        shots: labelled examples per class; K of a regression task.
        queries: query examples per class.
        inner_steps: S.
        step_size: alpha, in the unit of the loss.
        image: side and channels of images; None for regression of one number.
        filters: channels of a convolution.
        max_pool: 2x2 max pooling and flattening, instead of stride 2 and the mean over space.
        hidden: units of the hidden cells of regression.
        batches: number of different meta-batches, used in turn.
    """

    name: str
    method: str
    tasks: int
    ways: int
    shots: int
    queries: int
    inner_steps: int
    step_size: float
    image: tuple[int, int] | None = None
    filters: int = 64
    max_pool: bool = False
    hidden: int = 40
    batches: int = 4

    @property
    def support(self) -> int:
        """Examples of a support set."""
        return self.ways * self.shots

    @property
    def query(self) -> int:
        """Examples of a query set."""
        return self.ways * self.queries

    @property
    def classifies(self) -> bool:
        """Whether labels are class numbers, and not numbers to predict."""
        return self.image is not None


_OMNIGLOT = {"shots": 1, "queries": 1, "inner_steps": 1, "image": (28, 1)}
_MINIIMAGENET = {
    **{"tasks": 4, "ways": 5, "queries": 15, "inner_steps": 5, "step_size": 0.01},
    **{"image": (84, 3), "filters": 32, "max_pool": True, "batches": 2},
}
WORKS: dict[str, dict[str, Any]] = {
    "omniglot5": {**_OMNIGLOT, "tasks": 32, "ways": 5, "step_size": 0.4},
    "omniglot20": {**_OMNIGLOT, "tasks": 16, "ways": 20, "step_size": 0.1},
    "miniimagenet1": {**_MINIIMAGENET, "shots": 1},
    "miniimagenet5": {**_MINIIMAGENET, "shots": 5},
    "sinusoid": {
        **{"tasks": 4, "ways": 1, "shots": 10, "queries": 10},
        **{"inner_steps": 1, "step_size": 0.01, "batches": 100},
    },
}


def work(name: str, method: str, **changes: Any) -> Work:
    """The shapes of one of `WORKS`, with changes.

    Raises:
        ValueError: for an unknown name or method.
    """
    if name not in WORKS or method not in METHODS:
        raise ValueError(
            f"`name` must be one of {', '.join(WORKS)}, and `method` one of {', '.join(METHODS)}. "
            f"Received: name={name!r}, method={method!r}."
        )
    return Work(**{"name": name, "method": method, **WORKS[name], **changes})


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of the network: `norm((rows @ W + b) @ T)`, for one example.

    Attributes:
        kernel: shape of W; 4 axes for a convolution, 2 for a dense cell.
        pixels: rows of one example in the product: pixels after the convolution, or 1.
        stride: of the convolution.
        is_last: whether it gives the outputs, with neither normalisation nor ReLU.
    """

    kernel: tuple[int, ...]
    pixels: int = 1
    stride: int = 1
    is_last: bool = False

    @property
    def units(self) -> int:
        """U, output channels."""
        return self.kernel[-1]

    @property
    def depth(self) -> int:
        """D, columns of a row."""
        return math.prod(self.kernel[:-1])


def cells(work: Work) -> list[Cell]:
    """The cells of the paper's network for this work."""
    if work.image is None:
        sizes = [1, work.hidden, work.hidden, 1]
        pairs = list(zip(sizes, sizes[1:], strict=False))
        return [Cell(pair, is_last=i == len(pairs) - 1) for i, pair in enumerate(pairs)]
    side, channels = work.image
    found = []
    stride = 1 if work.max_pool else 2
    for _ in range(4):
        pixels = side if work.max_pool else -(-side // 2)
        found.append(Cell((3, 3, channels, work.filters), pixels**2, stride))
        side, channels = (side // 2 if work.max_pool else pixels), work.filters
    features = side**2 * channels if work.max_pool else channels
    return [*found, Cell((features, work.ways), is_last=True)]


def initial_weights(work: Work, seed: int = 0) -> Arrays:
    """Meta-parameters "W0", "b0", ..., in which no gradient vanishes for a special value.

    T is near the identity, and zeta, b and the offset beta of a normalisation are random.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for i, cell in enumerate(cells(work)):
        scale = math.sqrt(2 / (cell.depth + cell.units))
        found[f"W{i}"] = rng.normal(0, scale, cell.kernel)
        found[f"b{i}"] = rng.normal(0, 0.1, cell.units)
        if work.method == "mtnet":
            mix = rng.normal(0, 0.1 / math.sqrt(cell.units), (cell.units, cell.units))
            found[f"T{i}"] = np.eye(cell.units) + mix
            found[f"zeta{i}"] = rng.normal(0, 0.5, cell.units)
        if work.classifies and not cell.is_last:
            found[f"beta{i}"] = rng.normal(0, 0.1, cell.units)
    return {name: value.astype(np.float32) for name, value in found.items()}


def batches(work: Work, seed: int = 1) -> list[Arrays]:
    """The meta-batches: episodes, and the logistic noise of the masks.

    Each contains "support_x" [B, n, ...], "support_y", "query_x", "query_y" and, for MT-net,
    "noise0" [B, U], ...: the mask of cell i is 1 where zeta + noise >= 0.
    """
    rng = np.random.default_rng(seed)
    return [{**_episodes(work, rng), **_noise(work, rng)} for _ in range(work.batches)]


def _episodes(work: Work, rng: np.random.Generator) -> Arrays:
    if work.image is None:
        amplitude, phase = rng.uniform(0.1, 5, (work.tasks, 1, 1)), rng.uniform(0, np.pi)
        found = {}
        for part, size in (("support", work.support), ("query", work.query)):
            x = rng.uniform(-5, 5, (work.tasks, size, 1))
            found |= {f"{part}_x": x, f"{part}_y": amplitude * np.sin(x - phase)}
        return {name: value.astype(np.float32) for name, value in found.items()}
    side, channels = work.image
    means = rng.random((work.tasks, work.ways, 1, side, side, channels))
    found = {}
    for part, count in (("support", work.shots), ("query", work.queries)):
        size = (work.tasks, work.ways, count, side, side, channels)
        x = 0.5 * means + 0.5 * rng.random(size)
        found[f"{part}_x"] = x.reshape(work.tasks, -1, *size[3:]).astype(np.float32)
        labels = np.repeat(np.arange(work.ways, dtype=np.int32), count)
        found[f"{part}_y"] = np.tile(labels, (work.tasks, 1))
    return found


def _noise(work: Work, rng: np.random.Generator) -> Arrays:
    if work.method != "mtnet":
        return {}
    sizes = {f"noise{i}": (work.tasks, cell.units) for i, cell in enumerate(cells(work))}
    return {name: rng.logistic(size=size).astype(np.float32) for name, size in sizes.items()}


def stacked(found: list[Arrays]) -> Arrays:
    """All meta-batches in one array each, for a program that loops over them."""
    return {name: np.stack([batch[name] for batch in found]) for name in found[0]}


def flops(work: Work) -> float:
    """Floating-point operations of the matrix products of one meta-step.

    A product of the forward pass costs F. Its two derivatives cost 2 F, and differentiating the
    inner gradient twice that again for each of them: 9 F per inner step and 3 F for the query set.
    Images need no derivative: 4 F and 2 F in the first cell. T is constant in the inner loop: 6 F
    and 3 F; it multiplies W or the activations, whichever is smaller.
    """
    total = 0.0
    for i, cell in enumerate(cells(work)):
        first = i == 0
        for examples, factor, factor_t, times in (
            (work.support, 4 if first else 9, 6, work.inner_steps),
            (work.query, 2 if first else 3, 3, 1),
        ):
            rows = examples * cell.pixels
            product = 2 * rows * cell.depth * cell.units
            transform = 2 * min(rows, cell.depth) * cell.units**2
            total += times * factor * product
            total += times * factor_t * transform * (work.method == "mtnet")
    return total * work.tasks
