"""Where genomes stand: against numpy and the plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.standing import Standing

MEASURED = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-50, 50).map(float)), max_size=40)


def standing_of(measured: list[tuple[str, float]]) -> Standing:
    standing = Standing()
    for key, value in measured:
        standing.add(key, value)
    return standing


@given(MEASURED)
def test_sums_are_those_of_numpy(measured: list[tuple[str, float]]) -> None:
    standing = standing_of(measured)
    values = {key: np.array([v for k, v in measured if k == key]) for key, _ in measured}
    freedom = sum(len(each) - 1 for each in values.values())
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in values.values())
    noise = math.sqrt(squares / freedom) if freedom else 0.0
    assert standing.freedom == freedom
    assert standing.noise == pytest.approx(noise, abs=1e-6)
    surely = {key: each.mean() - noise / math.sqrt(len(each)) for key, each in values.items()}
    for key, each in values.items():
        assert standing.count(key) == len(each)
        assert standing.mean(key) == pytest.approx(each.mean())
        assert standing.surely(key) == pytest.approx(surely[key], abs=1e-6)
    ranked, leaders = standing.ranked(3), standing.leaders(3)
    assert len(ranked) == len(leaders) == min(3, len(values))
    best = sorted(surely.values(), reverse=True)[:3]
    assert [surely[key] for key in ranked] == pytest.approx(best, abs=1e-6)
    means = sorted((each.mean() for each in values.values()), reverse=True)[:3]
    assert [values[key].mean() for key in leaders] == pytest.approx(means)


@given(MEASURED, st.integers(1, 9))
def test_the_first_few_are_the_first_of_all(measured: list[tuple[str, float]], count: int) -> None:
    standing = standing_of(measured)
    keys = sorted({key for key, _ in measured}, reverse=True)
    surely = sorted(keys, key=lambda key: (standing.surely(key), key), reverse=True)
    assert standing.ranked(count) == surely[:count]
    means = sorted(keys, key=lambda key: (standing.mean(key), key), reverse=True)
    assert standing.leaders(count) == means[:count]


def test_the_first_is_found_without_looking_at_all_that_were_measured_again() -> None:
    looked: list[str] = []

    class Watched(Standing):
        def surely(self, key: str) -> float:
            looked.append(key)
            return super().surely(key)

    standing = Watched()
    for number in range(1000):
        standing.add(f"n{number % 500}", float(number))
    assert standing.ranked(1) == ["n499"]
    assert len(looked) == 1


def test_while_nothing_was_measured_again_the_highest_value_leads() -> None:
    standing = standing_of([("a", 1.0), ("b", 3.0), ("c", 2.0)])
    assert standing.ranked(9) == standing.leaders(9) == ["b", "c", "a"]
    assert standing.surely("b") == 3.0


def test_a_lucky_value_is_not_ahead_of_a_sure_one() -> None:
    standing = standing_of([("lucky", 1.0), *[("sure", value) for value in (0.8, 1.0, 0.9, 0.9)]])
    assert standing.leaders(1) == ["lucky"]
    assert standing.ranked(2) == ["lucky", "sure"]  # 1 - 0.08 before 0.9 - 0.04
    standing.add("other", 0.1)
    standing.add("other", 0.7)  # the noise is larger than it seemed: 1 - 0.22 before 0.9 - 0.11?
    assert standing.ranked(1) == ["sure"]


def test_nothing_stands_at_first() -> None:
    assert (Standing().ranked(3), Standing().noise, Standing().count("a")) == ([], 0.0, 0)
