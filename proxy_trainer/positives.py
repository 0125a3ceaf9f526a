"""Which levels learn anything: positives per output level for a data set and a recipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proxy_trainer.anchors import BACKGROUND, iou, make_anchors, match_overlaps
from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Positives:
    """Positive anchors by level over a set of images, and how the boxes were matched.

    `by_iou` counts the boxes that at least one anchor overlaps enough; the others keep only their
    best anchor (`forced`). `owners` counts, for each level, the boxes whose best anchor is there.
    """

    anchors: dict[int, int]
    owners: dict[int, int]
    boxes: int
    by_iou: int

    @property
    def forced(self) -> int:
        """Boxes that no anchor overlaps enough."""
        return self.boxes - self.by_iou

    @property
    def starved(self) -> tuple[int, ...]:
        """Levels that own fewer than 1 % of the boxes: a searched output there would hardly learn."""
        return tuple(level for level, count in self.owners.items() if count * 100 < self.boxes)


def count_positives(images: ImageSet, recipe: Recipe, levels: tuple[int, ...]) -> Positives:
    """Match all boxes of a set, unaugmented, with the recipe's anchors."""
    anchors = make_anchors(levels, recipe.resolution, recipe.anchor_size, recipe.anchor_growth)
    positives = dict.fromkeys(levels, 0)
    owners = dict.fromkeys(levels, 0)
    boxes = by_iou = 0
    for found in images.boxes:
        if not len(found):
            continue
        overlap = iou(found, anchors.boxes)
        matched = match_overlaps(overlap, recipe.match_iou)
        for level, count in zip(
            *np.unique(anchors.levels[matched != BACKGROUND], return_counts=True), strict=True
        ):
            positives[int(level)] += int(count)
        for level in anchors.levels[overlap.argmax(axis=1)]:
            owners[int(level)] += 1
        boxes += len(found)
        by_iou += int((overlap.max(axis=1) >= recipe.match_iou).sum())
    return Positives(positives, owners, boxes, by_iou)
