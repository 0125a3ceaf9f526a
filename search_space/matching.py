"""Which base block each searched level came from: levels matched to base levels plus offsets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache


class NoMatch(ValueError):
    """Levels that no assignment of base blocks and offsets gives; `position` is the first one left over."""

    def __init__(self, position: int) -> None:
        super().__init__(f"no base block is left for position {position}")
        self.position = position


def match_levels(levels: Sequence[int], bases: Sequence[int], offsets: Sequence[int]) -> tuple[int, ...]:
    """The base block (an index into sorted `bases`) of each level, so that level - base is an offset.

    Among equal base levels the smaller index goes to the earlier position, and small offsets are
    tried first, so equal arguments have one answer. Offsets need not be contiguous, hence augmenting
    paths instead of a greedy sweep. Raises NoMatch.
    """
    choices = {level: _choices(level, tuple(bases), tuple(offsets)) for level in set(levels)}
    owner: dict[int, int] = {}
    for position in range(len(levels)):
        if not _augment(position, levels, choices, owner, set()):
            raise NoMatch(position)
    return _relabel([bases[label] for _, label in sorted((p, label) for label, p in owner.items())], bases)


@lru_cache(maxsize=256)  # the same for every genome of a space
def _choices(level: int, bases: tuple[int, ...], offsets: tuple[int, ...]) -> tuple[int, ...]:
    """The base blocks that a level can come from, small offsets first."""
    able = (label for label, base in enumerate(bases) if level - base in offsets)
    return tuple(sorted(able, key=lambda label: (abs(level - bases[label]), label)))


def _augment(
    position: int,
    levels: Sequence[int],
    choices: dict[int, tuple[int, ...]],
    owner: dict[int, int],
    visited: set[int],
) -> bool:
    for label in choices[levels[position]]:
        if label in visited:
            continue
        visited.add(label)
        if label not in owner or _augment(owner[label], levels, choices, owner, visited):
            owner[label] = position
            return True
    return False


def _relabel(found: Sequence[int], bases: Sequence[int]) -> tuple[int, ...]:
    free = {base: iter([label for label, other in enumerate(bases) if other == base]) for base in set(bases)}
    return tuple(next(free[base]) for base in found)
