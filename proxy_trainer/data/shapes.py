"""Outlines: the classes of the rendered set, and the distractors that are none of them, as alpha masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from proxy_trainer.data.config import Shape

_Points = NDArray[np.float64]

_STRETCH: Final = 1.5
"""Most that a shape is stretched along its own axis before it is turned."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed polygon and, possibly, a hole in it: points [n, 2] as (x, y), around the origin."""

    outer: _Points
    hole: _Points | None = None

    def mapped(self, matrix: NDArray[np.float64]) -> Outline:
        """Turned, stretched or scaled."""
        return Outline(self.outer @ matrix.T, None if self.hole is None else self.hole @ matrix.T)


def _points(*pairs: tuple[float, float]) -> _Points:
    return np.array(pairs, np.float64)


def _circle(radius: float, corners: int = 64, start: float = 0.0, end: float = 2 * math.pi) -> _Points:
    angles = np.linspace(start, end, corners, endpoint=end - start < 2 * math.pi - 1e-9)
    return _points(*((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles.tolist()))


def _zigzag(corners: int, inner: float) -> _Points:
    """A star polygon."""
    radii: _Points = np.tile([1.0, inner], corners)
    return np.multiply(_circle(1.0, 2 * corners), radii[:, None])


def _crescent() -> _Points:
    back = _circle(1.0, 48, 0.32 * math.pi, 1.68 * math.pi)
    front = _circle(0.85, 40, 0.40 * math.pi, 1.60 * math.pi)[::-1] + np.array([0.58, 0.0])
    return np.concatenate([back, front])


_OUTLINES: Final[dict[Shape, Outline]] = {
    "disc": Outline(_circle(1.0)),
    "square": Outline(_points((-1, -1), (1, -1), (1, 1), (-1, 1))),
    "triangle": Outline(_circle(1.0, 3)),
    "star": Outline(_zigzag(5, 0.42)),
    "cross": Outline(
        _points(
            *((-0.32, -1), (0.32, -1), (0.32, -0.32), (1, -0.32), (1, 0.32), (0.32, 0.32)),
            *((0.32, 1), (-0.32, 1), (-0.32, 0.32), (-1, 0.32), (-1, -0.32), (-0.32, -0.32)),
        )
    ),
    "ring": Outline(_circle(1.0), _circle(0.58)),
    "crescent": Outline(_crescent()),
    "arrow": Outline(
        _points((-1, -0.3), (0.1, -0.3), (0.1, -0.85), (1, 0), (0.1, 0.85), (0.1, 0.3), (-1, 0.3)),
    ),
}


def shape_mask(shape: Shape, longest: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Alpha [h, w] of the shape, randomly turned and stretched; its longer side is `longest` pixels."""
    stretch = math.exp(rng.uniform(-1, 1) * math.log(_STRETCH))
    return _mask(_OUTLINES[shape].mapped(_turn(rng) @ np.diag([stretch, 1.0])), longest)


def blob_mask(longest: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A distractor: an irregular lump with few bays and bulges, like none of the classes."""
    angles = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    radii = np.ones_like(angles)
    for frequency in (1, 2, 3):
        radii += rng.uniform(0.2, 0.4) * np.cos(frequency * angles + rng.uniform(0, 2 * math.pi))
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.maximum(radii, 0.15)[:, None]
    return _mask(Outline(points), longest)


def stroke_mask(length: float, thickness: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A distractor: a bent line with round ends."""
    bend, along = rng.uniform(-0.8, 0.8), np.linspace(-1, 1, 24)
    wave = bend * np.sin(along * rng.uniform(1.0, 4.0) + rng.uniform(0, math.pi))
    points = np.stack([along, 0.5 * wave], axis=1) @ _turn(rng).T * (length / 2)
    oversampling = 3
    margin = thickness / 2 + 1
    low = points.min(axis=0) - margin
    width, height = np.ceil(points.max(axis=0) + margin - low).astype(int).tolist()
    canvas = Image.new("L", (width * oversampling, height * oversampling), 0)
    draw = ImageDraw.Draw(canvas)
    line = [tuple(point) for point in ((points - low) * oversampling).tolist()]
    radius = thickness / 2 * oversampling
    draw.line(line, fill=255, width=max(1, round(2 * radius)), joint="curve")
    for x, y in (line[0], line[-1]):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas.reduce(oversampling))


def _turn(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * math.pi)
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _mask(outline: Outline, longest: float) -> NDArray[np.uint8]:
    """The outline drawn so that its longer side is `longest` pixels, with smooth edges."""
    oversampling = 8 if longest < 24 else 3
    low, high = outline.outer.min(axis=0), outline.outer.max(axis=0)
    scale = longest / (high - low).max()
    width, height = np.maximum(np.ceil((high - low) * scale - 1e-6), 1).astype(int).tolist()
    canvas = Image.new("L", (width * oversampling, height * oversampling), 0)
    draw = ImageDraw.Draw(canvas)
    for points, value in ((outline.outer, 255), (outline.hole, 0)):
        if points is not None:
            draw.polygon([tuple(p) for p in ((points - low) * scale * oversampling).tolist()], fill=value)
    return np.asarray(canvas.reduce(oversampling))
