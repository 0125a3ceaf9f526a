"""Surrogates: fitted when they should be, trusted only where they earned it, drawn from their posterior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, rankdata, spearmanr

from controller.regressors import bayesian_ridge, gaussian_process
from controller.surrogate import CHECKED, LEAST_CHECKED, Regressor, Surrogate, normal_scores

REGRESSORS: dict[str, Regressor] = {"ridge": bayesian_ridge, "process": gaussian_process}


def problem(count: int, noise: float, seed: int = 0) -> tuple[Any, Any]:
    """Vectors, the last column without meaning, and values that are linear in them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 6))
    return rows, rows[:, :5] @ np.array([3.0, -2.0, 1.0, 0.5, 0.0]) + noise * rng.normal(size=count)


@dataclass
class Fits:
    """A regressor that writes down how many rows it was given, and predicts the first column."""

    sizes: list[int]

    def __call__(self, rows: Any, values: Any) -> Fits:
        assert len(rows) == len(values)
        self.sizes.append(len(rows))
        return self

    def mean(self, rows: Any) -> Any:
        return rows[:, 0]

    def draw(self, rows: Any, rng: np.random.Generator) -> Any:
        return rows[:, 0] + rng.normal(size=len(rows))


def told(surrogate: Surrogate, rows: Any, values: Any) -> Surrogate:
    for row, value in zip(rows, values, strict=True):
        surrogate.learn(row, float(value), {})
    return surrogate


def test_it_is_fitted_at_growing_intervals_to_at_most_so_many() -> None:
    fits = Fits([])
    told(Surrogate(fits, start=20, most=50, trust=0.3), *problem(200, 0.1))

    assert fits.sizes[:4] == [20, 23, 27, 32]  # each 1.15 times the one before, rounded up
    assert max(fits.sizes) == 50
    assert len(fits.sizes) < 20


@pytest.mark.parametrize("name", REGRESSORS)
def test_it_earns_trust_where_it_predicts_and_none_where_nothing_can_be(name: str) -> None:
    rows, values = problem(120, 0.3)
    good = told(Surrogate(REGRESSORS[name], start=20, most=200, trust=0.3), rows, values)
    shuffled = np.random.default_rng(1).permutation(values)
    bad = told(Surrogate(REGRESSORS[name], start=20, most=200, trust=0.3), rows, shuffled)

    assert good.correlation > 0.8
    assert good.fit is not None
    assert abs(bad.correlation) < 0.4
    assert (bad.fit is not None) == (bad.correlation >= 0.3)


def test_trust_is_taken_back_when_the_ground_moves() -> None:
    rows, values = problem(200, 0.1)
    values[100:] *= -1
    surrogate = told(Surrogate(Fits([]), start=20, most=200, trust=0.3), rows[:100], rows[:100, 0])
    assert surrogate.fit is not None
    told(surrogate, rows[100:160], -rows[100:160, 0])
    assert surrogate.correlation < 0
    assert surrogate.fit is None


def test_the_correlation_is_spearmans_of_what_it_had_not_seen() -> None:
    fits = Fits([])
    rows, values = problem(90, 3.0)
    surrogate = told(Surrogate(fits, start=20, most=200, trust=0.3), rows, values)
    # The stand-in predicts the first column, which scaling shifts from fit to fit: redo it by hand.
    predicted, last = [], 0
    sizes = iter([*fits.sizes, math.inf])
    upcoming = next(sizes)
    for number in range(90):
        if last:
            column = rows[:last, 0]
            predicted.append((rows[number, 0] - column.mean()) / column.std())
        if number + 1 == upcoming:
            last, upcoming = number + 1, next(sizes)
    wanted = spearmanr(predicted[-CHECKED:], values[-CHECKED:]).statistic
    assert surrogate.correlation == pytest.approx(wanted, abs=1e-12)


def test_too_few_checks_are_no_ground_for_trust() -> None:
    rows, values = problem(20 + LEAST_CHECKED - 1, 0.1)
    surrogate = told(Surrogate(bayesian_ridge, start=20, most=200, trust=-1), rows, values)
    assert math.isnan(surrogate.correlation)
    assert surrogate.fit is None


def test_values_that_never_vary_earn_no_trust() -> None:
    rows, _ = problem(60, 0.1)
    surrogate = told(Surrogate(bayesian_ridge, start=20, most=200, trust=0.1), rows, np.ones(60))
    assert surrogate.correlation == 0
    assert surrogate.fit is None


def test_normal_scores_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).integers(10, size=40).astype(float)
    ranks = rankdata(values)
    wanted = norm.ppf((ranks - 0.375) / (len(values) + 0.25))
    np.testing.assert_allclose(normal_scores(values), wanted, atol=1e-12)


@pytest.mark.parametrize("name", REGRESSORS)
def test_draws_have_the_mean_and_the_covariance_of_the_posterior(name: str) -> None:
    rows, values = problem(30, 2.0)
    fit: Any = REGRESSORS[name](rows, values)
    fresh = np.random.default_rng(5).normal(size=(4, 6))
    rng = np.random.default_rng(6)
    draws = np.stack([fit.draw(fresh, rng) for _ in range(20_000)])

    if name == "ridge":
        spread = fresh @ fit.root
        covariance = spread @ spread.T
    else:
        _, covariance = fit.process.predict(fresh, return_cov=True)
        covariance = covariance - fit.process.kernel_.k2.noise_level * np.eye(4)
    np.testing.assert_allclose(draws.mean(axis=0), fit.mean(fresh), atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * covariance.max())


@pytest.mark.parametrize("name", REGRESSORS)
def test_draws_are_no_matter_of_the_last_bits(name: str) -> None:
    """Fewer outcomes than features: most variances are equal, their axes whatever rounding makes of them."""
    rng = np.random.default_rng(0)
    rows, values = rng.normal(size=(20, 60)), rng.normal(size=20)
    asked = rng.normal(size=(12, 60))
    turned = rows + 1e-13 * rng.normal(size=rows.shape)  # as another processor or number of threads would
    first, second = (
        REGRESSORS[name](each, values).draw(asked, np.random.default_rng(3)) for each in (rows, turned)
    )
    assert np.abs(first - second).max() < 1e-5 * first.std()


def test_a_column_that_never_varies_counts_for_nothing() -> None:
    surrogate = Surrogate(bayesian_ridge, 10, 100, -1.0)
    rows, values = problem(30, 0.1)
    rows[:, 5] = 0.1  # whose mean over thirty rows is not quite 0.1
    for row, value in zip(rows, values, strict=True):
        surrogate.learn(row, float(value), {})
    assert surrogate.fit is not None
    asked = rows[:2].copy()
    asked[1] = asked[0]
    asked[1, 5] = 0.7
    here, there = surrogate.fit.draw(asked, np.random.default_rng(0))
    assert here == there


def test_the_ridges_spread_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import BayesianRidge

    rows, values = problem(30, 2.0)
    fit = bayesian_ridge(rows, values)
    known = BayesianRidge().fit(rows, values)
    fresh = np.random.default_rng(5).normal(size=(4, 6))
    mean, deviation = known.predict(fresh, return_std=True)

    np.testing.assert_allclose(fit.mean(fresh), mean)
    noise = 1 / known.alpha_
    centred = fresh - known.X_offset_  # scikit-learn counts spread from the rows' mean
    np.testing.assert_allclose(((centred @ fit.root) ** 2).sum(axis=1) + noise, deviation**2, rtol=1e-6)


@pytest.mark.parametrize("word", ["screened", "again"])
def test_what_was_chosen_for_being_good_is_no_check(word: str) -> None:
    rows, values = problem(100, 0.1)
    surrogate = told(Surrogate(bayesian_ridge, start=20, most=200, trust=0.3), rows[:60], values[:60])
    before = surrogate.correlation
    for row in rows[60:]:
        surrogate.learn(row, -9.0, {word: 1})
    assert surrogate.correlation == before
