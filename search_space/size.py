"""How large a space is, by counting decisions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb, factorial, log10, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # space.py delegates to this module
    from search_space.space import SpineNetSpace


@dataclass(frozen=True, slots=True)
class SpaceSize:
    """Decimal logarithms of how many decision sequences a space has.

    `labelled` takes all base blocks as different, as the paper counts; `distinct` merges orders that
    differ only by exchanging intermediates of one base level.
    """

    labelled: float
    distinct: float


def space_size(space: SpineNetSpace) -> SpaceSize:
    """The size of a space, its parent window applied."""
    orders = factorial(len(space.intermediates)) * factorial(len(space.outputs))
    pairs = prod(comb(len(space.allowed_parents(block)), 2) for block in range(space.blocks))
    levels = len(space.offsets) ** len(space.intermediates)
    kinds = len(space.kinds) ** space.blocks
    repeats = prod(factorial(count) for count in Counter(space.intermediates).values())
    labelled = orders * pairs * levels * kinds
    return SpaceSize(log10(labelled), log10(labelled // repeats))
