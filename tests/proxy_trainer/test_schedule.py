"""The learning rate over a training, and how fast averages forget."""

from __future__ import annotations

import math

import pytest

from proxy_trainer.recipe import Recipe
from proxy_trainer.schedule import averaging, learning_rate

RECIPE = Recipe(steps=100, warmup_steps=20, learning_rate=0.4)


def test_warm_up_is_a_line_that_starts_above_zero() -> None:
    rates = [learning_rate(RECIPE, step) for step in range(20)]
    assert rates == pytest.approx([0.4 * (step + 1) / 20 for step in range(20)])


def test_cosine_to_zero() -> None:
    assert learning_rate(RECIPE, 20) == pytest.approx(0.4)
    assert learning_rate(RECIPE, 60) == pytest.approx(0.2)
    assert learning_rate(RECIPE, 40) == pytest.approx(0.2 * (1 + math.sqrt(0.5)))
    rates = [learning_rate(RECIPE, step) for step in range(20, 101)]
    assert rates == sorted(rates, reverse=True)
    # Zero is reached after the last step, which still learns a little.
    assert 0 < rates[-2] < 0.001
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_no_warm_up() -> None:
    assert learning_rate(Recipe(steps=10, warmup_steps=0, learning_rate=0.4), 0) == pytest.approx(0.4)


def test_averages_forget_their_start() -> None:
    recipe = Recipe(average=0.95)
    shares = [averaging(recipe, step) for step in range(400)]
    assert shares[0] == pytest.approx(0.1)
    assert shares == sorted(shares)
    assert shares[-1] == 0.95
    assert math.prod(shares[:20]) < 1e-6
    assert averaging(Recipe(average=0.0), 5) == 0
