"""Which base block each searched level came from: levels matched to base levels plus offsets."""

from __future__ import annotations

from collections.abc import Sequence


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
    allowed = set(offsets)
    choices = {
        level: sorted(
            (label for label, base in enumerate(bases) if level - base in allowed),
            key=lambda label: (abs(level - bases[label]), label),
        )
        for level in set(levels)
    }
    owner: dict[int, int] = {}
    for position in range(len(levels)):
        if not _augment(position, levels, choices, owner, set()):
            raise NoMatch(position)
    return _relabel([bases[label] for _, label in sorted((p, label) for label, p in owner.items())], bases)


def _augment(
    position: int,
    levels: Sequence[int],
    choices: dict[int, list[int]],
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
