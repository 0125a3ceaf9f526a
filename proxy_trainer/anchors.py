"""Anchors, and which of them a box belongs to: boxes are (top, left, bottom, right) in input pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

SCALES: Final = (2**0, 2 ** (1 / 3), 2 ** (2 / 3))
RATIOS: Final = (1.0, 2.0, 0.5)
PER_POSITION: Final = len(SCALES) * len(RATIOS)
BACKGROUND: Final = -1

_BASE_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Anchors:
    """All anchors of an input, [A, 4], by level, row, column, scale and ratio; and the level of each."""

    boxes: Floats
    levels: Ints


def make_anchors(levels: tuple[int, ...], resolution: int, size: float, growth: float = 2.0) -> Anchors:
    """Anchors of three scales and three aspect ratios (Lin et al., 2017), `size` strides wide on level 3.

    From level to level they grow by `growth`: by 2, like the stride, in the paper. Small inputs want
    less, for the coarsest levels are as coarse as the picture and no box is that large.
    """
    found, owners = [], []
    for level in levels:
        stride = 2**level
        centres = (np.arange(resolution // stride) + 0.5) * stride
        side = size * 2**_BASE_LEVEL * growth ** (level - _BASE_LEVEL)
        sides = [(side * s * r**-0.5, side * s * r**0.5) for s in SCALES for r in RATIOS]
        half = np.array(sides) / 2
        y, x = np.meshgrid(centres, centres, indexing="ij")
        centre = np.stack([y, x], axis=-1)[:, :, np.newaxis, :]
        boxes = np.concatenate([centre - half, centre + half], axis=-1).reshape(-1, 4)
        found.append(boxes)
        owners.append(np.full(len(boxes), level, np.int32))
    # By columns, as `iou` reads them.
    return Anchors(np.asfortranarray(np.concatenate(found), np.float32), np.concatenate(owners))


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union of every box in `a` with every box in `b`, [len(a), len(b)]."""
    # By columns: reductions over an axis of two numbers would take most of a batch's time.
    top, left, bottom, right = (np.ascontiguousarray(column)[:, np.newaxis] for column in a.T)
    tops, lefts, bottoms, rights = (np.ascontiguousarray(column) for column in b.T)
    shared = _overlap(top, bottom, tops, bottoms)
    shared *= _overlap(left, right, lefts, rights)
    union = (bottom - top) * (right - left) + (bottoms - tops) * (rights - lefts)
    union -= shared
    shared /= np.maximum(union, np.float32(1e-9), out=union)
    return np.asarray(shared, np.float32)


def _overlap(low: Floats, high: Floats, lows: Floats, highs: Floats) -> Floats:
    shared = np.minimum(high, highs)
    shared -= np.maximum(low, lows)
    return np.maximum(shared, 0, out=shared)


def match(anchors: Anchors, boxes: Floats, threshold: float) -> Ints:
    """The box that each anchor is responsible for, or BACKGROUND, [A].

    An anchor takes the box it overlaps most, at `threshold` or more; and each box keeps the anchor
    that overlaps it most, whatever the overlap, so that no box is left out (the references' force
    match; where two boxes want one anchor, the one with the larger overlap gets it).
    """
    # One row a box: each step of the matching then runs over whole rows of anchors.
    return match_overlaps(iou(boxes, anchors.boxes), threshold)


def match_overlaps(overlap: Floats, threshold: float) -> Ints:
    """The same from how much each box and anchor overlap, [boxes, A]."""
    boxes, count = overlap.shape
    if not boxes:
        return np.full(count, BACKGROUND, np.int32)
    matched = np.zeros(count, np.int32)
    most = overlap[0].copy()
    for box in range(1, boxes):
        better = overlap[box] > most
        matched[better] = box
        np.maximum(most, overlap[box], out=most)
    matched[most < threshold] = BACKGROUND
    best = overlap.argmax(axis=1)
    strength = overlap[np.arange(boxes), best]
    for box in np.argsort(strength, kind="stable"):
        if strength[box] > 0:
            matched[best[box]] = box
    return matched


def encode(anchors: Floats, boxes: Floats) -> Floats:
    """Boxes as offsets from anchors: centre shifts in anchor sides, and log side ratios, [A, 4]."""
    sides = anchors[:, 2:] - anchors[:, :2]
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2 / sides
    ratio = np.log(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3) / sides)
    return np.concatenate([shift, ratio], axis=-1).astype(np.float32)


def targets(anchors: Anchors, boxes: Floats, labels: Ints, threshold: float) -> tuple[Ints, Floats]:
    """What the heads should say for one image: the class of each anchor or BACKGROUND, and its offsets."""
    matched = match(anchors, boxes, threshold)
    classes = np.full(len(matched), BACKGROUND, np.int32)
    offsets = np.zeros((len(matched), 4), np.float32)
    positive = matched != BACKGROUND
    classes[positive] = labels[matched[positive]]
    offsets[positive] = encode(anchors.boxes[positive], boxes[matched[positive]])
    return classes, offsets
