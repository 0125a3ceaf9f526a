"""Ranks, crowding and hypervolume against pymoo, on random points with and without ties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pymoo.indicators.hv import HV
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from controller.dominance import crowding, crowding_by_front, first_front, hypervolume, ranks


def drawn(seed: int, objectives: int, *, coarse: bool) -> NDArray[np.float64]:
    """Up to 60 points; coarse ones tie in single objectives, and many are equal."""
    rng = np.random.default_rng([seed, objectives])
    points = rng.random((int(rng.integers(1, 60)), objectives))
    return points.round(1) if coarse else points


CASES = [
    pytest.param(seed, objectives, coarse, id=f"{seed}-{objectives}-{'ties' if coarse else 'no ties'}")
    for seed in range(8)
    for objectives in (1, 2, 3)
    for coarse in (False, True)
]


@pytest.mark.parametrize(("seed", "objectives", "coarse"), CASES)
def test_ranks_are_pymoos(seed: int, objectives: int, coarse: bool) -> None:
    points = drawn(seed, objectives, coarse=coarse)
    _, expected = NonDominatedSorting().do(-points, return_rank=True)
    assert ranks(points).tolist() == expected.tolist()


@pytest.mark.parametrize(("seed", "objectives", "coarse"), CASES)
def test_the_first_front_is_that_of_rank_0(seed: int, objectives: int, coarse: bool) -> None:
    points = drawn(seed, objectives, coarse=coarse)
    found = first_front(points)
    assert sorted(found.tolist()) == np.flatnonzero(ranks(points) == 0).tolist()
    assert (np.diff(points[found, 0]) <= 0).all()


@pytest.mark.parametrize(("seed", "objectives", "coarse"), CASES)
def test_crowding_is_pymoos(seed: int, objectives: int, coarse: bool) -> None:
    """Which takes the mean over the objectives where Deb takes the sum."""
    points = drawn(seed, objectives, coarse=coarse)
    for front in NonDominatedSorting().do(-points):
        expected = objectives * calc_crowding_distance(-points[front])
        if len(front) > 2:  # pymoo's own NSGA-II treats one and two as ends, outside of this function
            assert crowding(points[front]) == pytest.approx(expected)


@pytest.mark.parametrize(("seed", "objectives", "coarse"), CASES)
def test_hypervolume_is_pymoos(seed: int, objectives: int, coarse: bool) -> None:
    points, reference = drawn(seed, objectives, coarse=coarse), np.full(objectives, 0.3)
    assert hypervolume(points, reference) == pytest.approx(HV(ref_point=-reference)(-points))


def test_a_chain_has_a_rank_each_and_equals_share_one() -> None:
    points = np.array([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0], [3.0, 3.0], [2.0, 4.0]])
    assert ranks(points).tolist() == [2, 0, 1, 0, 0]


def test_crowding_by_hand() -> None:
    # Gaps of the middle ones: (9 - 1) / 10 + (10 - 1) / 10 and (10 - 3) / 10 + (6 - 0) / 10, shuffled.
    front = np.array([[1.0, 6.0], [10.0, 0.0], [0.0, 10.0], [3.0, 1.0]])
    assert crowding(front) == pytest.approx([0.3 + 0.9, math.inf, math.inf, 0.9 + 0.6])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_and_two_are_ends(count: int) -> None:
    assert crowding(np.ones((count, 2))).tolist() == [math.inf] * count


def test_an_objective_that_is_equal_everywhere_adds_nothing() -> None:
    ends = np.array([[0.0], [0.25], [1.0]])
    assert crowding(np.hstack([ends, np.full((3, 1), 7.0)])).tolist() == crowding(ends).tolist()
    assert crowding(np.full((3, 1), 7.0)).tolist() == [0.0] * 3


def test_infinite_values_and_the_largest_have_a_crowding() -> None:
    front = np.array([[-math.inf, 1.7e308], [0.0, 0.5], [1.7e308, -1.7e308], [1.0, 0.4]])
    found = crowding(front)
    assert not np.isnan(found).any()
    assert np.isinf(found).tolist() == [True, False, True, False]


def test_each_front_has_its_own_crowding() -> None:
    points = drawn(3, 2, coarse=False)
    fronts = ranks(points)
    found = crowding_by_front(points, fronts)
    for rank in set(fronts.tolist()):
        assert found[fronts == rank].tolist() == crowding(points[fronts == rank]).tolist()


def test_hypervolume_by_hand() -> None:
    corner = np.zeros(2)
    assert hypervolume(np.array([[2.0, 1.0], [1.0, 3.0], [1.0, 1.0]]), corner) == 2 * 1 + 1 * 2
    assert hypervolume(np.array([[2.0, -1.0], [0.0, 3.0]]), corner) == 0.0
    assert hypervolume(np.empty((0, 3)), np.zeros(3)) == 0.0
