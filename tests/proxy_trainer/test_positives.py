"""Positives per level, counted on boxes that are anchors, and on some that are not."""

from __future__ import annotations

import dataclasses

import numpy as np

from proxy_trainer.anchors import make_anchors
from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.positives import count_positives
from proxy_trainer.recipe import Recipe


def test_counts(reward_set: ImageSet) -> None:
    recipe = Recipe(anchor_size=2.0, anchor_growth=2.0, match_iou=0.9)
    anchors = make_anchors((3, 4, 5), 128, 2.0)
    third, fourth = (anchors.boxes[anchors.levels == level] for level in (3, 4))
    whole = np.array([[0, 0, 128, 128]], np.float32)
    none = np.zeros((0, 4), np.float32)
    images = dataclasses.replace(
        reward_set, boxes=(third[[500, 900]], none, np.concatenate([fourth[[300]], whole]), none)
    )
    found = count_positives(images, recipe, (3, 4, 5))
    # Neighbouring anchors overlap by less than 0.9. The box of the whole picture keeps its best one.
    assert found.anchors == {3: 2, 4: 1, 5: 1}
    assert found.owners == {3: 2, 4: 1, 5: 1}
    assert (found.boxes, found.by_iou, found.forced) == (4, 3, 1)
    assert found.starved == ()


def test_a_level_without_boxes_starves(reward_set: ImageSet) -> None:
    recipe = Recipe(anchor_size=2.0, anchor_growth=2.0)
    anchors = make_anchors((3, 4, 5), 128, 2.0)
    boxes = tuple(anchors.boxes[[index]] for index in (500, 600, 700, 800))
    found = count_positives(dataclasses.replace(reward_set, boxes=boxes), recipe, (3, 4, 5))
    assert found.starved == (4, 5)
