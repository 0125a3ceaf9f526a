"""Rectangles (top, left, bottom, right), as pictures are composed and labelled with them."""

from __future__ import annotations

from collections.abc import Sequence


def meet(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether they share an area."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
