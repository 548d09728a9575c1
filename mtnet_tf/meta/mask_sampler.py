"""The masks of a meta-step: drawn once per task and aligned with the task weights."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from mtnet_tf import seeds
from mtnet_tf.layers import MaskLogits, TaskWeight
from mtnet_tf.tasks import Part


class MaskSampler:
    """The masks of a meta-step, aligned with the task weights.

    For each task and each entry of a `MaskLogits` layer (eq. 9 to 11):

        P(mask = 1) = sigmoid(zeta)
        soft = sigmoid((zeta + log(u) - log(1 - u)) / temperature), u uniform in (0, 1)
        mask = 1 if soft >= 0.5 else 0, with the gradient of `soft`

    There is one draw per layer, which the weights and the bias of a unit share. Layers that are
    created with `hard_mask=False` use `soft` as the mask.
    """

    def __init__(
        self,
        task_weights: Sequence[TaskWeight],
        num_tasks: int | tf.Tensor,
        seed: tf.Tensor | None,
        *,
        redraw: bool = False,
        most_probable: bool = False,
        part: Part | None = None,
    ) -> None:
        """Stores what to draw.

        Args:
            task_weights: the weights that adapt.
            num_tasks: B; not used with `part`, which contains it.
            seed: stateless seed, int32 [2]; not needed for the most probable masks.
            redraw: draws new masks at each inner step, as the authors' code does with weight
                masks. By default, masks are drawn once per task, as the paper says.
            most_probable: uses no noise; the mask is 1 where zeta >= 0, else 0.
            part: which tasks of a meta-batch these are; None if they are all of it. The mask of a
                task does not depend on how a meta-batch is divided.
        """
        self._task_weights = task_weights
        self._num_tasks = num_tasks
        self._part = part
        self._seed = seed
        self._redraw = redraw
        self._most_probable = most_probable
        self._drawn: dict[int, tf.Tensor] | None = None

    def __call__(self, step: int) -> list[tf.Tensor | None]:
        """The masks of one inner step: a tensor or None for each task weight."""
        if self._drawn is None or self._redraw:
            self._drawn = self._draw(step)
        return align_masks(self._task_weights, self._drawn)

    def _draw(self, step: int) -> dict[int, tf.Tensor]:
        """From `id(mask_logits)` to a mask [B, *shape], or [1, *shape] without noise."""
        layers = {id(w.mask_logits): w.mask_logits for w in self._task_weights if w.mask_logits}
        if self._most_probable or self._seed is None:
            return {key: layer.most_probable()[None] for key, layer in layers.items()}
        numbers = range(step * len(layers), (step + 1) * len(layers))
        found = seeds.derive_each(self._seed, numbers)
        return {
            key: self._sample(layer, seed)
            for (key, layer), seed in zip(layers.items(), found, strict=True)
        }

    def _sample(self, layer: MaskLogits, seed: tf.Tensor) -> tf.Tensor:
        """A mask for each task, [B, *shape]."""
        if self._part is None:
            return layer.sample(self._num_tasks, seed)
        return layer(self._part.rows(layer.noise(self._part.total, seed)))


def align_masks(
    task_weights: Sequence[TaskWeight], drawn: Mapping[int, tf.Tensor]
) -> list[tf.Tensor | None]:
    """Reshapes masks so that they broadcast against the fast weights.

    Args:
        task_weights: the weights that adapt.
        drawn: dict from `id(mask_logits)` to a mask [B or 1, *shape].

    Returns:
        For each weight, a mask of its rank plus one, or None.
    """
    aligned = []
    for variable, mask_logits, _ in task_weights:
        if not mask_logits:
            aligned.append(None)
            continue
        mask = drawn[id(mask_logits)]
        if len(mask_logits.shape) < len(variable.shape):
            ones = [1] * (len(variable.shape) - 1)
            mask = tf.reshape(mask, [-1, *ones, mask.shape[-1]])  # one entry per output unit
        aligned.append(mask)
    return aligned
