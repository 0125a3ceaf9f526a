"""Anchors and which box each is responsible for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask

from proxy_trainer.anchors import (
    BACKGROUND,
    PER_POSITION,
    RATIOS,
    SCALES,
    Anchors,
    encode,
    iou,
    make_anchors,
    match,
    targets,
)

Boxes = NDArray[np.float32]


@st.composite
def boxes(draw: st.DrawFn, least: int = 0, most: int = 8) -> Boxes:
    """(top, left, bottom, right), from 1 to 100 pixels long on a grid of eighths."""
    count = draw(st.integers(least, most))
    eighths = hnp.arrays(np.int64, (count, 4), elements=st.integers(8, 800))
    values = draw(eighths).astype(np.float32) / 8
    return np.concatenate([values[:, :2], values[:, :2] + values[:, 2:]], axis=1)


def levels_of(boxes: Boxes) -> Anchors:
    return Anchors(boxes, np.full(len(boxes), 3, np.int32))


@given(boxes(), boxes())
def test_iou_is_that_of_pycocotools(a: Boxes, b: Boxes) -> None:
    def corner_and_size(each: Boxes) -> NDArray[np.float64]:
        top, left, bottom, right = each.T.astype(np.float64)
        return np.stack([left, top, right - left, bottom - top], axis=1)

    found = iou(a, b)
    assert found.shape == (len(a), len(b))
    if len(a) and len(b):
        wanted = mask.iou(corner_and_size(a), corner_and_size(b), [False] * len(b))
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_iou_of_empty_boxes_is_zero() -> None:
    point = np.array([[5, 5, 5, 5]], np.float32)
    assert iou(point, point).item() == 0


@pytest.mark.parametrize("growth", [2.0, 1.6])
def test_anchors_of_every_level(growth: float) -> None:
    levels = (3, 4, 5, 6, 7)
    anchors = make_anchors(levels, 256, 3.0, growth)
    counts = [PER_POSITION * (256 // 2**level) ** 2 for level in levels]
    assert anchors.boxes.shape == (sum(counts), 4)
    assert anchors.boxes.dtype == np.float32
    assert [int((anchors.levels == level).sum()) for level in levels] == counts
    assert (np.diff(anchors.levels) >= 0).all()
    for level in levels:
        mine = anchors.boxes[anchors.levels == level]
        stride = 2**level
        centres = (mine[:, :2] + mine[:, 2:]) / 2
        grid = (np.arange(256 // stride) + 0.5) * stride
        # Rows first, then columns, then the nine of a position.
        np.testing.assert_allclose(centres[:, 0], np.repeat(grid, len(grid) * PER_POSITION), rtol=1e-5)
        np.testing.assert_allclose(
            centres[:, 1], np.tile(np.repeat(grid, PER_POSITION), len(grid)), rtol=1e-5
        )
        height, width = (mine[:, 2:] - mine[:, :2])[:PER_POSITION].T
        scales = np.repeat(SCALES, len(RATIOS))
        # A ratio stretches a box and leaves its area. On level 3 a side is 3 strides, whatever the growth.
        side = 24 * growth ** (level - 3)
        np.testing.assert_allclose(height * width, (side * scales) ** 2, rtol=1e-4)
        np.testing.assert_allclose(width / height, np.tile(RATIOS, len(SCALES)), rtol=1e-4)


def test_the_papers_anchors_grow_with_the_stride() -> None:
    np.testing.assert_array_equal(
        make_anchors((3, 5), 128, 4.0).boxes, make_anchors((3, 5), 128, 4.0, 2.0).boxes
    )


def test_three_scales_to_an_octave() -> None:
    np.testing.assert_allclose(np.log2(SCALES), [0, 1 / 3, 2 / 3])


def test_nothing_to_match() -> None:
    found = match(levels_of(np.zeros((5, 4), np.float32)), np.zeros((0, 4), np.float32), 0.5)
    assert found.tolist() == [BACKGROUND] * 5
    assert found.dtype == np.int32


def test_an_anchor_takes_the_box_it_overlaps_most_from_the_threshold_on() -> None:
    anchors = np.array(
        [[0, 0, 10, 10], [0, 2, 10, 12], [0, 5, 10, 15], [50, 50, 60, 60]],
        np.float32,
    )
    found = np.array([[0, 0, 10, 10], [0, 3, 10, 13]], np.float32)
    # Overlaps with the boxes: 1 and 7/13, 2/3 and 9/11, 1/3 and 2/3, none.
    assert match(levels_of(anchors), found, 0.5).tolist() == [0, 1, 1, BACKGROUND]
    assert match(levels_of(anchors), found, 2 / 3).tolist() == [0, 1, 1, BACKGROUND]
    assert match(levels_of(anchors), found, 0.67).tolist() == [0, 1, BACKGROUND, BACKGROUND]


def test_every_box_keeps_its_best_anchor() -> None:
    anchors = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    small = np.array([[1, 1, 3, 3], [22, 22, 23, 23]], np.float32)
    assert match(levels_of(anchors), small, 0.5).tolist() == [0, 1]


def test_a_box_beside_all_anchors_matches_none() -> None:
    anchors = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    assert match(levels_of(anchors), np.array([[50, 50, 60, 60]], np.float32), 0.5).tolist() == [-1, -1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_larger_overlap_wins_an_anchor_that_two_boxes_want(order: tuple[int, int]) -> None:
    anchors = np.array([[0, 0, 10, 10], [40, 40, 50, 50]], np.float32)
    found = np.array([[0, 0, 4, 10], [0, 0, 10, 3]], np.float32)[list(order)]
    assert match(levels_of(anchors), found, 0.5).tolist() == [order.index(0), BACKGROUND]


def test_a_forced_match_goes_before_a_better_one_of_the_anchor() -> None:
    # Anchor 0 overlaps box 0 by 0.8 and box 1 by less, but it is the best that box 1 has;
    # box 0 is best off with anchor 1.
    anchors = np.array([[0, 0, 10, 10], [0, 2, 10, 12]], np.float32)
    found = np.array([[0, 2, 10, 12], [0, 0, 5, 3]], np.float32)
    assert match(levels_of(anchors), found, 0.5).tolist() == [1, 0]


@given(boxes(1), boxes(1), st.sampled_from([0.3, 0.5, 0.7]))
def test_matching_keeps_its_promises(anchors: Boxes, found: Boxes, threshold: float) -> None:
    matched = match(levels_of(anchors), found, threshold)
    assert matched.shape == (len(anchors),)
    overlap = iou(anchors, found)
    for anchor, box in enumerate(matched):
        forced = box != BACKGROUND and overlap[anchor, box] == overlap[:, box].max() > 0
        if overlap[anchor].max() >= threshold:
            assert forced or overlap[anchor, box] == overlap[anchor].max()
        else:
            assert box == BACKGROUND or forced
    # A box goes without only where it overlaps nothing or a box that wanted its anchor more got it.
    for box in set(range(len(found))) - set(matched.tolist()):
        best = overlap[:, box].argmax()
        assert overlap[best, box] == 0 or overlap[best, matched[best]] >= overlap[best, box]


def test_encoding_by_hand() -> None:
    anchor = np.array([[10, 20, 30, 60]], np.float32)
    box = np.array([[15, 20, 55, 40]], np.float32)
    # Centre (35, 30) against (20, 40), sides 40 by 20 against 20 by 40.
    wanted = [[15 / 20, -10 / 40, np.log(2), -np.log(2)]]
    np.testing.assert_allclose(encode(anchor, box), wanted, rtol=1e-6)
    np.testing.assert_array_equal(encode(anchor, anchor), np.zeros((1, 4)))


def test_targets_of_one_image() -> None:
    anchors = levels_of(np.array([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], np.float32))
    found = np.array([[40, 40, 50, 52], [1, 0, 11, 10]], np.float32)
    classes, offsets = targets(anchors, found, np.array([7, 3], np.int32), 0.5)
    assert classes.tolist() == [3, BACKGROUND, 7]
    assert [str(each.dtype) for each in (classes, offsets)] == ["int32", "float32"]
    np.testing.assert_array_equal(offsets[1], np.zeros(4))
    np.testing.assert_allclose(offsets[0], [0.1, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(offsets[2], [0, 0.1, 0, np.log(1.2)], atol=1e-6)


def test_targets_of_an_image_without_boxes() -> None:
    anchors = make_anchors((6, 7), 128, 3.0)
    classes, offsets = targets(anchors, np.zeros((0, 4), np.float32), np.zeros(0, np.int32), 0.5)
    assert (classes == BACKGROUND).all()
    assert not offsets.any()
