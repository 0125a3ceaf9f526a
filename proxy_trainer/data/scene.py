"""One rendered picture: what lies where and over what, what of it can be seen, and the painted result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from proxy_trainer.data.config import RenderedData
from proxy_trainer.data.rectangles import meet
from proxy_trainer.data.shapes import blob_mask, shape_mask, stroke_mask
from proxy_trainer.data.textures import Pool

_OPAQUE: Final = 128
"""Alpha from which a pixel counts as covered."""

_OVERHANG: Final = 0.25
"""Most of an object's side that lies beyond the picture's edge."""

_TRIES: Final = 30


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A mask [h, w] with its top left corner at (y, x) of the picture; `label` is None for distractors."""

    mask: NDArray[np.uint8]
    y: int
    x: int
    label: int | None = None

    def box(self) -> tuple[int, int, int, int]:
        """(y1, x1, y2, x2), not clipped."""
        return self.y, self.x, self.y + self.mask.shape[0], self.x + self.mask.shape[1]

    def seen(self, side: int) -> tuple[slice, slice, NDArray[np.uint8]]:
        """The part of the picture that it covers, and the mask there."""
        y1, x1, y2, x2 = self.box()
        top, left, bottom, right = max(y1, 0), max(x1, 0), min(y2, side), min(x2, side)
        return (
            slice(top, max(bottom, top)),
            slice(left, max(right, left)),
            self.mask[top - y1 : max(bottom, top) - y1, left - x1 : max(right, left) - x1],
        )


@dataclass(frozen=True, slots=True)
class Thing:
    """A labelled object: the box (x, y, width, height) around what can be seen of it, and so many pixels."""

    label: int
    box: tuple[int, int, int, int]
    area: int


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture uint8 [side, side, 3] and the objects to find in it."""

    picture: NDArray[np.uint8]
    things: tuple[Thing, ...]


def make_scene(config: RenderedData, pool: Pool, rng: np.random.Generator) -> Scene:
    """One picture; all chance comes from `rng`."""
    below = _distractors(config, rng, over=False)
    objects = _objects(config, rng)
    above = _distractors(config, rng, over=True)
    objects, things = visible(objects, above, config)
    return Scene(_painted([*below, *objects, *above], config, pool, rng), things)


def _objects(config: RenderedData, rng: np.random.Generator) -> list[Layer]:
    """Objects from the back to the front: larger ones tend to lie behind."""
    wanted = int(rng.integers(config.objects[0], config.objects[1] + 1))
    low, high = (math.log(extent * config.size) for extent in config.extent)
    sizes = sorted((math.exp(rng.uniform(low, high)) for _ in range(wanted)), reverse=True)
    placed: list[Layer] = []
    for longest in sizes:
        label = int(rng.integers(len(config.classes)))
        mask = shape_mask(config.classes[label], longest, rng)
        tries = 1 if rng.random() < config.occlusion else _TRIES
        for _ in range(tries):
            y, x = (_position(config.size, side, rng) for side in mask.shape)
            layer = Layer(mask, y, x, label)
            if tries == 1 or not any(meet(layer.box(), other.box()) for other in placed):
                placed.append(layer)
                break
    ranks = [math.log(max(layer.mask.shape)) + 0.4 * rng.standard_normal() for layer in placed]
    return [placed[number] for number in np.argsort(ranks)[::-1]]


def _position(side: int, length: int, rng: np.random.Generator) -> int:
    overhang = int(_OVERHANG * length) if length > 0.1 * side else 0
    return int(rng.integers(-overhang, side - length + overhang + 1))


def _distractors(config: RenderedData, rng: np.random.Generator, *, over: bool) -> list[Layer]:
    """Lumps and strokes behind the objects, or thin strokes over everything."""
    layers = []
    for _ in range(rng.poisson(config.clutter * (2 if over else 6))):
        longest = config.size * math.exp(rng.uniform(math.log(0.08), math.log(0.5)))
        if over or rng.random() < 0.5:
            thickness = config.size * rng.uniform(0.008, 0.02 if over else 0.04)
            mask = stroke_mask(longest, thickness, rng)
        else:
            mask = blob_mask(longest, rng)
        y, x = (int(rng.integers(-length // 2, config.size - length // 2)) for length in mask.shape)
        layers.append(Layer(mask, y, x))
    return layers


def visible(
    objects: list[Layer], above: list[Layer], config: RenderedData
) -> tuple[list[Layer], tuple[Thing, ...]]:
    """The objects that can be seen well enough; the others are taken away, the least visible first."""
    while True:
        owner = np.full((config.size, config.size), -1, np.int16)
        for number, layer in enumerate([*objects, *above]):
            rows, columns, mask = layer.seen(config.size)
            owner[rows, columns][mask >= _OPAQUE] = number
        things: list[Thing] = []
        shares: list[float] = []
        for number, layer in enumerate(objects):
            ys, xs = np.nonzero(owner == number)
            shares.append(len(ys) / max(1, int(np.count_nonzero(layer.mask >= _OPAQUE))))
            if len(ys) and layer.label is not None:
                y, x = int(ys.min()), int(xs.min())
                things.append(
                    Thing(layer.label, (x, y, int(xs.max()) - x + 1, int(ys.max()) - y + 1), len(ys))
                )
        if not objects or min(shares) >= config.visible:
            return objects, tuple(things)
        objects = [layer for number, layer in enumerate(objects) if number != int(np.argmin(shares))]


def _painted(
    layers: list[Layer], config: RenderedData, pool: Pool, rng: np.random.Generator
) -> NDArray[np.uint8]:
    depth = _depth(config)
    canvas = pool.surface(config.size, config.size, rng, depth=depth, colour=config.colour)
    for layer in layers:
        rows, columns, mask = layer.seen(config.size)
        if mask.size:
            alpha = (mask[:, :, None] / np.float32(255)).astype(np.float32)
            behind = canvas[rows, columns]
            behind += alpha * (_differing(behind, alpha, config, pool, rng) - behind)
    canvas *= rng.uniform(0.85, 1.1)
    canvas += rng.normal(0, 0.03 * config.clutter, canvas.shape[:2]).astype(np.float32)[:, :, None]
    picture = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.BoxBlur(rng.uniform(0, 1.2 * config.clutter))))


def _depth(config: RenderedData) -> float:
    """How far the two colours of a pattern may lie apart."""
    return 0.06 + 0.24 * config.clutter


def _differing(
    behind: NDArray[np.float32],
    alpha: NDArray[np.float32],
    config: RenderedData,
    pool: Pool,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """A surface whose mean colour differs from what lies behind by the contrast, or the best of some."""
    weight = max(float(alpha.sum()), 1e-3)
    ground = (alpha * behind).sum(axis=(0, 1)) / weight
    best, farthest = behind, -1.0
    for _ in range(12):
        surface = pool.surface(
            alpha.shape[0], alpha.shape[1], rng, depth=_depth(config), colour=config.colour
        )
        distance = float(np.linalg.norm((alpha * surface).sum(axis=(0, 1)) / weight - ground))
        if distance > farthest:
            best, farthest = surface, distance
        if farthest >= config.contrast:
            break
    return best
