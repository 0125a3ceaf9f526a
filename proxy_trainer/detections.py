"""What a detector found in a set of pictures, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Detections:
    """One row a box: image and category ids as in the data set, (top, left, bottom, right), probability.

    Boxes are in the pixels of the original pictures.
    """

    images: NDArray[np.int64]
    categories: NDArray[np.int64]
    boxes: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.images)

    @staticmethod
    def join(parts: Sequence[Detections]) -> Detections:
        """All rows of some parts, in their order."""
        return Detections(
            images=np.concatenate([np.zeros(0, np.int64), *(part.images for part in parts)]),
            categories=np.concatenate([np.zeros(0, np.int64), *(part.categories for part in parts)]),
            boxes=np.concatenate([np.zeros((0, 4)), *(part.boxes for part in parts)]),
            probabilities=np.concatenate([np.zeros(0), *(part.probabilities for part in parts)]),
        )
