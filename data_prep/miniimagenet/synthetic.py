"""Draws coloured textures and shapes by class, as a replacement for MiniImagenet.

A class is a shape with lobes on a striped or chequered ground, in certain colours. Its images
differ in the place, size and rotation of the shape; in the shift, bend and scale of the ground; in
the light; in small changes of the colours; and in noise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

SIDE = 84
# Stored with the images: increase it when the same seed would give other images.
GENERATOR_VERSION = 1

# What the images of a class have in common.
_CYCLES = (2.0, 9.0)  # of the ground's stripes across the image
_LOBES = (2, 3, 4, 5, 6, 7)
_LOBE_DEPTHS = (0.1, 0.45)  # fractions of the shape's radius
_HOLLOW_PROBABILITY = 0.3
_CHECKED_PROBABILITY = 0.4
# Variation between images, as standard deviations or as the limits of a uniform distribution.
_RADII = (0.17, 0.34)  # of the shape, fractions of the side
_CENTRES = (0.3, 0.7)  # fractions of the side
_GROUND_TURN = 0.35  # radians
_LOG_SCALE = 0.2
_BEND = 0.035  # fraction of the side
_COLOUR_SHIFT = 0.2
_LOG_LIGHT = 0.35
_SHADE = 0.25  # change of the light across the image
_PIXEL_NOISE = 0.03

_X, _Y = np.meshgrid(*[(np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE] * 2)  # [SIDE, SIDE]


@dataclass(frozen=True)
class Look:
    """What the images of one class have in common.

    Attributes:
        colours: [4, 3] in [0, 1]: two of the ground, two of the shape.
        cycles: [2], for the two directions of the ground; the second is 0 for stripes.
        angle: of the ground, in radians.
        lobes: number of lobes of the shape.
        depth: their height, as a fraction of the radius.
        hollow: whether the shape has a hole.
        stripes: number of rings that the two colours of the shape form.
    """

    colours: np.ndarray
    cycles: np.ndarray
    angle: float
    lobes: int
    depth: float
    hollow: bool
    stripes: float

    @classmethod
    def invent(cls, rng: np.random.Generator) -> Self:
        """Draws the look of a class."""
        cycles = rng.uniform(*_CYCLES, 2)
        cycles[1] *= rng.random() < _CHECKED_PROBABILITY
        return cls(
            colours=rng.uniform(0.05, 0.95, (4, 3)),
            cycles=cycles,
            angle=rng.uniform(0, np.pi),
            lobes=int(rng.choice(_LOBES)),
            depth=rng.uniform(*_LOBE_DEPTHS),
            hollow=bool(rng.random() < _HOLLOW_PROBABILITY),
            stripes=rng.uniform(0.5, 3),
        )


def list_images(classes: Iterable[int], per_class: int) -> dict[str, list[str]]:
    """Returns file names by class name, similar to those of MiniImagenet.

    >>> list_images([2], per_class=2)
    {'s00000002': ['s0000000200000001.jpg', 's0000000200000002.jpg']}
    """
    return {
        f"s{k:08d}": [f"s{k:08d}{number:08d}.jpg" for number in range(1, per_class + 1)]
        for k in classes
    }


def numbers(file_name: str) -> tuple[int, int]:
    """Returns the class and the number of an image, from its name in `list_images`.

    >>> numbers("s0000000200000001.jpg")
    (2, 1)
    """
    return int(file_name[1:9]), int(file_name[9:17])


def draw_texture(seed: int, k: int, number: int) -> np.ndarray:
    """Returns image `number` of class `k`, uint8 [84, 84, 3].

    The image depends only on these arguments. It does not depend on the number of classes and
    images, or on the order in which they are drawn.
    """
    look = Look.invent(np.random.default_rng([seed, k]))
    rng = np.random.default_rng([seed, k, number])
    colours = look.colours + rng.normal(0, _COLOUR_SHIFT, (4, 3))
    ground, (mask, rings) = _ground(look, rng), _shape(look, rng)
    pixels = _blend(ground, colours[0], colours[1])
    pixels += mask[..., np.newaxis] * (_blend(rings, colours[2], colours[3]) - pixels)
    slope = rng.normal(0, _SHADE, 2)
    light = np.exp(rng.normal(0, _LOG_LIGHT)) * (1 + slope[0] * (_X - 0.5) + slope[1] * (_Y - 0.5))
    pixels *= light[..., np.newaxis].astype(np.float32)
    pixels += _PIXEL_NOISE * rng.standard_normal(pixels.shape, np.float32)
    return (255 * pixels.clip(0, 1) + 0.5).astype(np.uint8)


def _blend(weight: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns a mixture of two colours, float32 [SIDE, SIDE, 3]; weight [SIDE, SIDE] in [0, 1]."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    return first + weight[..., np.newaxis] * (second - first)


def _ground(look: Look, rng: np.random.Generator) -> np.ndarray:
    """Returns stripes or checks, float32 [SIDE, SIDE] in [0, 1]."""
    angle = look.angle + rng.normal(0, _GROUND_TURN)
    scale = np.exp(rng.normal(0, _LOG_SCALE))
    phase, bend_phase = rng.uniform(0, 2 * np.pi, (2, 2)).astype(np.float32)
    bend = rng.normal(0, _BEND)
    u = np.float32(np.cos(angle)) * _X + np.float32(np.sin(angle)) * _Y
    v = np.float32(np.cos(angle)) * _Y - np.float32(np.sin(angle)) * _X
    u = u + np.float32(bend) * np.sin(7 * v + bend_phase[0])
    waves = np.sin(np.float32(2 * np.pi * look.cycles[0] * scale) * u + phase[0])
    if look.cycles[1]:
        waves *= np.sin(np.float32(2 * np.pi * look.cycles[1] * scale) * v + phase[1])
    return (0.5 + 2 * waves).clip(0, 1)


def _shape(look: Look, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mask of the shape, and its rings; both float32 [SIDE, SIDE] in [0, 1]."""
    centre = rng.uniform(*_CENTRES, 2).astype(np.float32)
    radius = np.float32(rng.uniform(*_RADII))
    turn = np.float32(rng.uniform(0, 2 * np.pi))
    x, y = _X - centre[0], _Y - centre[1]
    outline = 1 + np.float32(look.depth) * np.cos(look.lobes * np.arctan2(y, x) + turn)
    distance = np.hypot(x, y) / (radius * outline)  # 1 on the outline
    sharpness = SIDE * radius  # one pixel of transition
    mask = (0.5 + sharpness * (1 - distance)).clip(0, 1)
    if look.hollow:
        mask *= (0.5 + sharpness * (distance - np.float32(0.5))).clip(0, 1)
    rings = np.cos(np.float32(2 * np.pi * look.stripes) * distance)
    return mask, (0.5 + 2 * rings).clip(0, 1)
