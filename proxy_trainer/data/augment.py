"""Training pictures, changed at random: mirrored, rescaled, cropped or moved, and their boxes with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """`flip`: share of pictures mirrored left to right. `scale`: least and most factor on the picture's size.

    A rescaled picture is cropped to R x R where it is larger and put anywhere in it where it is smaller
    (Du et al., CVPR 2020, section 5.1); scale (1, 1) leaves it where it is. A box is dropped when less
    than `visible` of its area remains, or less than `side` pixels of either side.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    flip: float = 0.5
    scale: tuple[float, float] = (0.8, 1.2)
    visible: float = 0.25
    side: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1 or not 0 <= self.visible <= 1 or not self.side >= 0:
            raise ValueError(
                f"augment: flip={self.flip}, visible={self.visible}, side={self.side}, expected shares "
                "from 0 to 1 and a side of at least 0"
            )
        if not 0.05 <= self.scale[0] <= self.scale[1] <= 20:
            raise ValueError(f"augment: scale={self.scale}, expected 0.05 <= least <= most <= 20")


@dataclass(frozen=True, slots=True)
class _Axis:
    """One direction of the change: cache pixel p lands on factor * p + offset.

    [low, high) of the result is filled.
    """

    factor: float
    offset: int
    low: int
    high: int


def _axis(length: int, resolution: int, factor: float, rng: np.random.Generator) -> _Axis:
    """`length` pixels of picture, rescaled to whole pixels, then cropped or moved at random."""
    if factor == 1:
        return _Axis(1.0, 0, 0, length)
    scaled = max(1, round(length * factor))
    spare = resolution - scaled
    offset = int(rng.integers(min(0, spare), max(0, spare) + 1))
    return _Axis(scaled / length, offset, max(0, offset), min(resolution, offset + scaled))


def augmented(
    pixels: NDArray[np.uint8],
    content: tuple[int, int],
    boxes: NDArray[np.float32],
    augment: Augment,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.intp]]:
    """A changed picture uint8 [R, R, 3], the boxes left in it, and which of the given boxes these are.

    `content` is the (height, width) of `pixels` that shows the picture; boxes are (y1, x1, y2, x2).
    """
    flip = rng.random() < augment.flip
    factor = float(rng.uniform(*augment.scale))
    vertical, horizontal = (_axis(length, len(pixels), factor, rng) for length in content)
    if flip:
        width = content[1]
        boxes = np.stack([boxes[:, 0], width - boxes[:, 3], boxes[:, 2], width - boxes[:, 1]], axis=1)
    axes = (vertical, horizontal, vertical, horizontal)
    moved = boxes * [axis.factor for axis in axes] + [axis.offset for axis in axes]
    clipped = np.clip(moved, [axis.low for axis in axes], [axis.high for axis in axes])
    kept = _kept(moved, clipped, augment)
    result = np.zeros_like(pixels)
    result[vertical.low : vertical.high, horizontal.low : horizontal.high] = _resampled(
        pixels[: content[0], : content[1]], vertical, horizontal, flip=flip
    )
    return result, clipped[kept].astype(np.float32), kept


def _kept(moved: NDArray[np.float64], clipped: NDArray[np.float64], augment: Augment) -> NDArray[np.intp]:
    sides = np.maximum(clipped[:, 2:] - clipped[:, :2], 0)
    whole = np.maximum((moved[:, 2:] - moved[:, :2]).prod(axis=1), 1e-9)
    return np.flatnonzero(
        (sides.min(axis=1) >= augment.side) & (sides.prod(axis=1) >= augment.visible * whole)
    )


def _resampled(
    picture: NDArray[np.uint8], vertical: _Axis, horizontal: _Axis, *, flip: bool
) -> NDArray[np.uint8]:
    """The filled part of the result."""
    if vertical.factor == horizontal.factor == 1:
        return picture[:, ::-1] if flip else picture
    top, bottom = ((edge - vertical.offset) / vertical.factor for edge in (vertical.low, vertical.high))
    left, right = (
        (edge - horizontal.offset) / horizontal.factor for edge in (horizontal.low, horizontal.high)
    )
    source = Image.fromarray(np.ascontiguousarray(picture))
    if flip:  # by pillow, which takes a third of numpy's time
        source = source.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    window = (left, top, min(right, source.width), min(bottom, source.height))
    size = (horizontal.high - horizontal.low, vertical.high - vertical.low)
    return np.asarray(source.resize(size, Image.Resampling.BILINEAR, box=window))
