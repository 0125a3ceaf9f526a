from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.matching import NoMatch, match_levels

LEVELS = st.lists(st.integers(1, 7), min_size=1, max_size=6)
OFFSETS = st.lists(st.integers(-2, 3), min_size=1, max_size=4, unique=True)


@given(bases=LEVELS, levels=LEVELS, offsets=OFFSETS)
def test_a_match_is_found_exactly_when_there_is_one(
    bases: list[int], levels: list[int], offsets: list[int]
) -> None:
    bases = sorted(bases)
    exists = any(
        all(level - base in offsets for level, base in zip(levels, chosen, strict=True))
        for chosen in permutations(bases, len(levels))
    )
    if not exists:
        with pytest.raises(NoMatch) as caught:
            match_levels(levels, bases, offsets)
        # The levels before the one that is named can be matched, with it they cannot.
        named = caught.value.position
        assert len(match_levels(levels[:named], bases, offsets)) == named
        with pytest.raises(NoMatch):
            match_levels(levels[: named + 1], bases, offsets)
        return
    labels = match_levels(levels, bases, offsets)
    assert len(set(labels)) == len(levels)
    assert all(level - bases[label] in offsets for level, label in zip(levels, labels, strict=True))


def test_equal_bases_are_handed_out_in_order_and_small_offsets_first() -> None:
    assert match_levels((4, 3, 4), (3, 4, 4), (-1, 0, 1)) == (1, 0, 2)


def test_a_greedy_choice_is_taken_back() -> None:
    # Level 4 takes base 4 first; the second level, 6, can only come from base 4.
    assert match_levels((4, 6), (3, 4), (0, 1, 2)) == (0, 1)
