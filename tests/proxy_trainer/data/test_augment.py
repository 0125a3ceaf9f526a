"""Changed pictures: a marker painted into the picture is found where its box says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy_trainer.data.augment import Augment, augmented

R = 64
PLAIN = Augment(flip=0, scale=(1, 1))


def painted(content: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Grey picture, black padding, one white box."""
    pixels = np.zeros((R, R, 3), np.uint8)
    pixels[: content[0], : content[1]] = 70
    pixels[box[0] : box[2], box[1] : box[3]] = 255
    return pixels


def found(pixels: np.ndarray[Any, Any]) -> list[int]:
    ys, xs = np.nonzero(pixels[:, :, 0] > 162)
    return [int(ys.min()), int(xs.min()), int(ys.max()) + 1, int(xs.max()) + 1]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    content=st.sampled_from([(64, 64), (40, 64), (64, 23)]),
    place=st.tuples(*[st.floats(0, 1)] * 4),
    scale=st.sampled_from([(0.8, 1.2), (0.5, 2.0), (1.0, 1.0), (1.7, 1.7)]),
    flip=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_marker_is_where_its_box_says(
    seed: int,
    content: tuple[int, int],
    place: tuple[float, float, float, float],
    scale: tuple[float, float],
    flip: float,
) -> None:
    y1, x1 = int(place[0] * (content[0] - 6)), int(place[1] * (content[1] - 6))
    y2, x2 = y1 + 6 + int(place[2] * (content[0] - y1 - 6)), x1 + 6 + int(place[3] * (content[1] - x1 - 6))
    box = (y1, x1, y2, x2)
    augment = Augment(flip=flip, scale=scale, visible=0, side=2)
    pixels, boxes, kept = augmented(
        painted(content, box), content, np.array([box], np.float32), augment, np.random.default_rng(seed)
    )
    assert pixels.shape == (R, R, 3)
    assert boxes.dtype == np.float32
    if len(kept):
        np.testing.assert_allclose(found(pixels), boxes[0], atol=1.01)
    else:
        visible = pixels[:, :, 0] > 162
        assert min(np.any(visible, axis=0).sum(), np.any(visible, axis=1).sum()) <= 3


def test_nothing_to_change() -> None:
    pixels, boxes = painted((40, 64), (5, 6, 20, 30)), np.array([[5, 6, 20, 30]], np.float32)
    same, left, kept = augmented(pixels, (40, 64), boxes, PLAIN, np.random.default_rng(0))
    np.testing.assert_array_equal(same, pixels)
    assert same is not pixels
    np.testing.assert_array_equal(left, boxes)
    assert kept.tolist() == [0]


def test_a_flip_mirrors_the_picture_and_not_its_padding() -> None:
    pixels, boxes = painted((64, 40), (5, 6, 20, 30)), np.array([[5, 6, 20, 30]], np.float32)
    flipped, left, _ = augmented(
        pixels, (64, 40), boxes, Augment(flip=1, scale=(1, 1)), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(flipped[:, :40], pixels[:, 39::-1])
    assert not flipped[:, 40:].any()
    assert left.tolist() == [[5, 10, 20, 34]]


def test_half_of_the_pictures_are_mirrored_and_scales_fill_their_range() -> None:
    box = (10, 4, 30, 12)
    pixels, boxes = painted((64, 64), box), np.array([box], np.float32)
    mirrored, heights = 0, []
    for seed in range(400):
        _, left, _ = augmented(pixels, (64, 64), boxes, Augment(scale=(1, 1)), np.random.default_rng(seed))
        mirrored += left[0, 1] != 4
        _, left, _ = augmented(pixels, (64, 64), boxes, Augment(visible=1), np.random.default_rng(seed))
        heights += [float(y2 - y1) / 20 for y1, _, y2, _ in left]
    assert 160 <= mirrored <= 240  # four standard deviations
    assert 0.79 < min(heights) < 0.82
    assert 1.18 < max(heights) < 1.21
    assert abs(np.mean(heights) - 1) < 0.03


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_boxes_that_are_mostly_cut_off_are_dropped(seed: int) -> None:
    boxes = np.array([[20, 20, 44, 44], [0, 0, 12, 12], [2, 50, 30, 64]], np.float32)
    pixels = np.full((R, R, 3), 70, np.uint8)
    args = (pixels, (R, R), boxes)
    _, every, all_kept = augmented(
        *args, Augment(scale=(1.8, 1.8), visible=0, side=0), np.random.default_rng(seed)
    )
    _, left, kept = augmented(
        *args, Augment(scale=(1.8, 1.8), visible=0.5, side=3), np.random.default_rng(seed)
    )
    assert all_kept.tolist() == [0, 1, 2]
    sides = every[:, 2:] - every[:, :2]
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * 1.8**2
    shares = sides.prod(axis=1) / whole
    assume(np.abs(shares - 0.5).min() > 0.02)
    assert kept.tolist() == np.flatnonzero((shares >= 0.5) & (sides.min(axis=1) >= 3)).tolist()
    np.testing.assert_array_equal(left, every[kept])


def test_no_boxes() -> None:
    _, left, kept = augmented(
        np.zeros((R, R, 3), np.uint8),
        (R, R),
        np.zeros((0, 4), np.float32),
        Augment(),
        np.random.default_rng(1),
    )
    assert left.shape == (0, 4)
    assert kept.shape == (0,)


@pytest.mark.parametrize("content", [(64, 64), (48, 64), (64, 3), (1, 64)])
@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 5.0, 20.0])
def test_any_content_at_any_scale(content: tuple[int, int], scale: float) -> None:
    pixels = painted(content, (0, 0, *content))
    augment = Augment(scale=(scale, scale))
    result, left, _ = augmented(
        pixels, content, np.array([[0, 0, *content]], np.float32), augment, np.random.default_rng(3)
    )
    ys, xs = np.nonzero(result.any(axis=2))
    filled = [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]
    if len(left):  # the box of the whole picture is exactly what is filled
        np.testing.assert_allclose(left[0], filled, atol=1e-4)
    else:
        assert min(filled[2] - filled[0], filled[3] - filled[1]) < augment.side or scale > 1
