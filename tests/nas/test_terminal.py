"""Pieces of text for the terminal: what fits fits, and order is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.terminal import BARS, duration, shortened, sparkline
from search_space.catalog import SPINENET_49


def test_a_sparkline_rises_with_its_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == BARS
    assert sparkline([0, 0, 7, 7], 2) == BARS[0] + BARS[-1]
    assert sparkline([5, 5, 5], 9) == BARS[0] * 3
    assert sparkline([], 9) == ""


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), width=st.integers(1, 80))
def test_a_sparkline_is_as_wide_as_it_may_be(values: list[float], width: int) -> None:
    line = sparkline(values, width)

    assert len(line) == min(width, len(values))
    assert set(line) <= set(BARS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (3.21, "3.2 s"),
        (9.97, "10 s"),
        (59, "59 s"),
        (119, "2 min"),
        (5_400, "90 min"),
        (12_000, "3 h 20 min"),
        (7_200, "2 h"),
        (187_200, "2 d 4 h"),
        (259_200, "3 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(width=st.integers(1, 200))
def test_a_shortened_genome_fits_and_keeps_both_ends(width: int) -> None:
    genome = SPINENET_49.to_text()

    text = shortened(genome, width)

    assert len(text) <= width
    if width >= len(genome):
        assert text == genome
    elif width > 30:
        head, tail = text.split(" … ")
        assert genome.startswith(head)
        assert genome.endswith(tail)
