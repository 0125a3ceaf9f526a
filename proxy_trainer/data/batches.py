"""Training batches without end: step k is a function of (images, seed, k), however it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from proxy_trainer.data.augment import Augment, augmented
from proxy_trainer.data.image_set import ImageSet

_ORDER, _CHANGE = 0, 1
"""Second words of the random streams: order of the images in an epoch, changes of one picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """`images` uint8 [B, R, R, 3]; of each `boxes` float32 [n, 4], (y1, x1, y2, x2), `labels` int32 [n].

    Crowd regions are not in it.
    """

    images: NDArray[np.uint8]
    boxes: tuple[NDArray[np.float32], ...]
    labels: tuple[NDArray[np.int32], ...]


def batch_at(images: ImageSet, step: int, *, batch: int, seed: int, augment: Augment) -> Batch:
    """The batch of this step, without those before it; an epoch shows every image once, in its own order."""
    positions = range(step * batch, (step + 1) * batch)
    rows = _rows(len(images), positions, seed)
    pictures, boxes, labels = [], [], []
    for position, row in zip(positions, rows, strict=True):
        height, width = images.contents[row].tolist()
        picture, left, kept = augmented(
            images.pixels[row],
            (height, width),
            images.boxes[row],
            augment,
            np.random.default_rng([seed, _CHANGE, position]),
        )
        pictures.append(picture)
        boxes.append(left)
        labels.append(images.labels[row][kept])
    return Batch(np.stack(pictures), tuple(boxes), tuple(labels))


def _rows(count: int, positions: range, seed: int) -> list[int]:
    """Which image stands at these positions of the stream of shuffled epochs."""
    return [int(_order(count, seed, position // count)[position % count]) for position in positions]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """In which order an epoch shows the images."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)
