"""Surfaces of the rendered set: one pool of patterns and colours for objects, distractors and backgrounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_Grid = NDArray[np.floating[Any]]

_KINDS: Final = ("flat", "gradient", "clouds", "clouds", "stripes", "checks", "dots", "weave")


@dataclass(frozen=True, slots=True)
class Pool:
    """Patterns in [0, 1], square, larger than a picture; a surface is a window of one, in two colours."""

    patterns: tuple[_Grid, ...]

    def surface(
        self, height: int, width: int, rng: np.random.Generator, *, depth: float, colour: float
    ) -> _Grid:
        """RGB [h, w, 3] in [0, 1]; its two colours lie up to `depth` apart and up to `colour` from grey."""
        pattern = self.patterns[rng.integers(len(self.patterns))]
        # Small things show the pattern smaller, so that it is seen at all.
        step = int(np.clip(len(pattern) // (2 * max(height, width)), 1, 4))
        step = int(rng.integers(1, step + 1))
        y, x = (rng.integers(0, len(pattern) - step * side + 1) for side in (height, width))
        window = pattern[y : y + step * height : step, x : x + step * width : step]
        if rng.random() < 0.5:
            window = window[:, ::-1]
        first = _towards_grey(rng.uniform(0.05, 0.95, 3), rng, colour)
        second = np.clip(first + _towards_grey(rng.normal(0, depth, 3), rng, colour), 0, 1)
        return np.asarray(first + window[:, :, None] * (second - first), np.float32)


def _towards_grey(rgb: _Grid, rng: np.random.Generator, colour: float) -> _Grid:
    """One of the three numbers as a shade of grey, and `colour` of the way from there to all three."""
    shade = rgb[rng.integers(3)]
    return np.asarray(shade + colour * (rgb - shade), np.float32)


def make_pool(patterns: int, side: int, rng: np.random.Generator) -> Pool:
    """So many patterns of `side` x `side` pixels, of all kinds in turn."""
    return Pool(tuple(_pattern(_KINDS[number % len(_KINDS)], side, rng) for number in range(patterns)))


def _pattern(kind: str, side: int, rng: np.random.Generator) -> _Grid:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    period = math.exp(rng.uniform(math.log(6), math.log(side / 4)))
    bend = _clouds(side, rng) * period * rng.uniform(0, 1.5)
    if kind == "flat":
        grid = np.full((side, side), rng.uniform(0, 1))
    elif kind == "gradient":
        return _stretched(along)
    elif kind == "clouds":
        return _clouds(side, rng)
    elif kind == "stripes":
        grid = 0.5 + 0.5 * np.sin((along + bend) * (2 * math.pi / period))
    elif kind == "checks":
        grid = (np.floor((along + bend) / period) + np.floor(across / period)) % 2
    elif kind == "dots":
        ripple = np.cos((along + bend) * (2 * math.pi / period)) + np.cos(across * (2 * math.pi / period))
        grid = np.clip(ripple * 2 - 1, 0, 1)
    else:
        grid = np.sin((along + bend) * (2 * math.pi / period)) * np.sin(across * (2 * math.pi / period))
        grid = 0.5 + 0.5 * grid
    return grid.astype(np.float32)


def _clouds(side: int, rng: np.random.Generator) -> _Grid:
    """Noise at several scales, coarse ones strongest."""
    total = np.zeros((side, side), np.float32)
    first = int(rng.integers(2, 5))
    for octave in range(5):
        cells = min(side, first * 2**octave)
        noise = Image.fromarray(rng.random((cells, cells), np.float32))
        total += np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC)) * 0.55**octave
    return _stretched(total)


def _stretched(grid: _Grid) -> _Grid:
    low, high = grid.min(), grid.max()
    return np.asarray((grid - low) / max(high - low, 1e-6), np.float32)
