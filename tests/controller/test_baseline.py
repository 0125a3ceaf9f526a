"""The moving average that rewards are compared with."""

from __future__ import annotations

import numpy as np
import pytest

from controller.baseline import Baseline


def test_one_reward_is_its_own_average() -> None:
    assert Baseline(0.95).after(3.0).value == pytest.approx(3.0)


def test_equal_rewards_have_that_average_from_the_start() -> None:
    baseline = Baseline(0.95)
    for _ in range(40):
        baseline = baseline.after(0.3)
        assert baseline.value == pytest.approx(0.3)


def test_it_is_the_weighted_mean_with_decaying_weights() -> None:
    rewards = np.random.default_rng(0).random(30)
    baseline = Baseline(0.9)
    for reward in rewards:
        baseline = baseline.after(float(reward))
    assert baseline.value == pytest.approx(np.average(rewards, weights=0.9 ** np.arange(30)[::-1]))


def test_a_step_leaves_the_value_before_it_alone() -> None:
    before = Baseline(0.5).after(1.0)
    assert before.after(5.0).value > 1.0 == before.value
