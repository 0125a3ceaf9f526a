"""Rank statistics against scipy, against the textbook's formula, and on cases that can be told by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from nas.proxy_study.ranks import better_half, bits, interval, partial_tau, tau, variances


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_tau_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, float).T
    wanted = kendalltau(a, b).statistic
    if math.isfinite(wanted):
        assert tau(a, b) == pytest.approx(wanted, abs=1e-12)
    else:
        assert math.isnan(tau(a, b))


def test_partial_tau_given_one_is_kendalls_formula() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=40)
    a, b = z + rng.normal(size=40), z + rng.normal(size=40)
    ab, az, bz = tau(a, b), tau(a, z), tau(b, z)
    wanted = (ab - az * bz) / math.sqrt((1 - az**2) * (1 - bz**2))
    assert partial_tau(a, b, [z]) == pytest.approx(wanted)
    assert abs(partial_tau(a, b, [z])) < ab


def test_partial_tau_of_what_is_explained_is_nothing() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=400)
    a, b = z + rng.normal(size=400), z + rng.normal(size=400)
    assert tau(a, b) > 0.25
    assert abs(partial_tau(a, b, [z])) < 0.15
    assert math.isnan(partial_tau(z, b, [z]))  # nothing is left of z


def test_the_better_half() -> None:
    assert better_half(np.array([1.0, 9.0, 5.0, 7.0])).tolist() == [1, 3]
    assert better_half(np.array([1.0, 9.0, 5.0])).tolist() == [1, 2]


def test_an_interval_holds_what_was_measured() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=30)
    b = a + rng.normal(size=30)
    low, high = interval(lambda rows: tau(a[rows], b[rows]), 30)
    assert low < tau(a, b) < high
    assert 0.2 < high - low < 0.7
    assert all(math.isnan(end) for end in interval(lambda _: math.nan, 30))


def test_variances_of_what_there_is() -> None:
    """By hand: a genome of one seed says nothing of seeds, and its mean has all of their variance."""
    table = np.array([[1.0, 3.0], [5.0, math.nan], [2.0, 4.0]])
    between, seed = variances(table)
    assert seed == pytest.approx(2.0)
    assert between == pytest.approx(7 / 3 - 2.0 * (0.5 + 1 + 0.5) / 3)


def test_variances_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(0, 3, (4000, 1)) + rng.normal(0, 1, (4000, 2))
    between, seed = variances(table)
    assert between == pytest.approx(9, rel=0.1)
    assert seed == pytest.approx(1, rel=0.1)
    assert math.isnan(variances(table[:, :1])[1])


def test_bits() -> None:
    assert bits(0.0) == bits(-0.5) == 0.0
    assert bits(1 / 3) == pytest.approx(-0.5 * math.log2(1 - 0.25))  # r = sin(pi / 6) = 1/2
    assert bits(0.2) < bits(0.5) < bits(0.9) < bits(1.0) < 20
