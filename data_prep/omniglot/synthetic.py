"""Draws characters procedurally, as a replacement for Omniglot that needs no download.

A class consists of a few strokes, which are smooth curves through random points. Its drawings vary
these strokes as handwriting does: the points are displaced a little; the whole is slightly rotated,
scaled, sheared and shifted; the pen is thinner or thicker.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from data_prep.omniglot.originals import DRAWINGS_PER_CHARACTER, SIDE, Drawing

# Stored with the images: increase it when the same seed would give other drawings.
GENERATOR_VERSION = 1

# Lengths are fractions of the image's side.
_GRID = np.linspace(0.18, 0.82, 5)  # where control points may lie
_NUM_STROKES = (1, 2, 2, 3, 3, 4)
_NUM_POINTS = (2, 2, 3, 3, 4, 5)
_STEP_LENGTHS = (0.2, 0.55)  # between neighbouring control points of a stroke
_TOTAL_LENGTHS = (0.8, 2.7)  # smallest and largest sum over the strokes of a character
_JOINED_PROBABILITY = 0.5  # that a further stroke starts on an earlier one
_ANGULAR_PROBABILITY = 0.4  # that a stroke has corners instead of bends
_CURVE_STEPS = 8  # line segments between two control points
# Variation between drawings, as standard deviations.
_POINT_JITTER = 0.028
_ROTATION = 0.08  # radians
_LOG_SCALE = 0.12
_SHEAR = 0.12
_SHIFT = 0.035
_PEN_WIDTHS = (4, 5, 5)  # pixels


def draw_alphabets(num_classes: int, seed: int) -> Iterator[Drawing]:
    """Yields the drawings of `num_classes` characters, class by class.

    Class k depends only on (seed, k), and so does not depend on `num_classes`. The first 1,623
    classes form 50 alphabets of 14 to 55 characters, as in Omniglot.
    """
    alphabet, character, size = 1, 0, _alphabet_size(1)
    for k in range(num_classes):
        if character == size:
            alphabet, character, size = alphabet + 1, 0, _alphabet_size(alphabet + 1)
        character += 1
        class_name = f"Synthetic_Alphabet_{alphabet:02d}/character{character:02d}"
        for number, image in enumerate(draw_character(np.random.default_rng([seed, k])), 1):
            yield Drawing(class_name, f"{k + 1:04d}_{number:02d}.png", image)


def _alphabet_size(alphabet: int) -> int:
    """Returns a size from 14 to 55. The sum of the first 50 is 1,623, as in Omniglot."""
    return 14 + (7 - alphabet) % 42


def draw_character(rng: np.random.Generator) -> list[Image.Image]:
    """Invents a character and returns its drawings, 105x105 pixels of 1 bit, black on white."""
    strokes = _invent_strokes(rng)
    angular = rng.random(len(strokes)) < _ANGULAR_PROBABILITY
    return [_draw(_vary(strokes, rng), angular, rng) for _ in range(DRAWINGS_PER_CHARACTER)]


def _invent_strokes(rng: np.random.Generator) -> list[np.ndarray]:
    """Returns the control points of each stroke, float [num_points, 2] in [0, 1]."""
    shortest, longest = _TOTAL_LENGTHS
    while True:
        strokes: list[np.ndarray] = []
        for _ in range(rng.choice(_NUM_STROKES)):
            joined = strokes and rng.random() < _JOINED_PROBABILITY
            start = rng.choice(np.concatenate(strokes)) if joined else rng.choice(_GRID, 2)
            strokes.append(_wander(start, rng.choice(_NUM_POINTS), rng))
        length = sum(np.linalg.norm(np.diff(points, axis=0), axis=1).sum() for points in strokes)
        if shortest <= length <= longest:
            return strokes


def _wander(start: np.ndarray, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a path over distinct points of the grid, float [num_points, 2]."""
    grid = np.stack(np.meshgrid(_GRID, _GRID), axis=-1).reshape(-1, 2)
    points = [start]
    for _ in range(num_points - 1):
        steps = np.linalg.norm(grid - points[-1], axis=1)
        fresh = np.abs(grid[:, np.newaxis] - np.array(points)).max(axis=-1).min(axis=1) > 0
        within = (steps >= _STEP_LENGTHS[0]) & (steps <= _STEP_LENGTHS[1])
        points.append(rng.choice(grid[within & fresh]))
    return np.array(points)


def _vary(strokes: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Returns a variation of the strokes, in pixels and around the centre."""
    angle, shear = rng.normal(0, _ROTATION), rng.normal(0, _SHEAR)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.diag(np.exp(rng.normal(0, _LOG_SCALE, 2)))
    matrix = turn @ stretch @ np.array([[1, shear], [0, 1]])
    every_point = np.concatenate(strokes)
    middle = (every_point.min(axis=0) + every_point.max(axis=0)) / 2
    centre = 0.5 + (middle - 0.5) / 2 + rng.normal(0, _SHIFT, 2)
    return [
        SIDE * ((points + rng.normal(0, _POINT_JITTER, points.shape) - middle) @ matrix.T + centre)
        for points in strokes
    ]


def _draw(strokes: list[np.ndarray], angular: np.ndarray, rng: np.random.Generator) -> Image.Image:
    image = Image.new("1", (SIDE, SIDE), 1)
    pen = ImageDraw.Draw(image)
    width = int(rng.choice(_PEN_WIDTHS))
    for points, has_corners in zip(strokes, angular, strict=True):
        path = points if has_corners else _smooth(points)
        pen.line(path.ravel().tolist(), fill=0, width=width, joint="curve")
    return image


def _smooth(points: np.ndarray) -> np.ndarray:
    """Returns a Catmull-Rom curve through the points, float [num_steps, 2]."""
    before, after = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    p = np.concatenate([[before], points, [after]])
    a, b, c, d = (p[i : len(p) - 3 + i, np.newaxis] for i in range(4))
    t = np.linspace(0, 1, _CURVE_STEPS, endpoint=False)[:, np.newaxis]
    curve = b + t * (c - a) / 2 + t**2 * (2 * a - 5 * b + 4 * c - d) / 2
    curve = curve + t**3 * (3 * b - a - 3 * c + d) / 2
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])
