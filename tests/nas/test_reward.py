"""Reward rules: pure, and nothing but a finite number comes out."""

from __future__ import annotations

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from nas.reward import NoReward, NotFinite, RewardConfig, reward


def test_the_reward_is_the_metric_as_it_is() -> None:
    metrics = {"AP": 0.1 + 0.2, "AP50": 0.5}
    assert reward(RewardConfig(), metrics) == 0.1 + 0.2
    assert reward(RewardConfig(metric="AP50"), metrics) == 0.5
    assert reward(RewardConfig(), {"AP": -1.0}) == -1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_reward(value: float) -> None:
    with pytest.raises(NotFinite, match=f"reward: AP={value}, expected a finite number"):
        reward(RewardConfig(), {"AP": value})


def test_a_missing_metric_is_no_reward() -> None:
    with pytest.raises(NoReward, match=r"reward: no metric 'AR' in the measurement, it has: AP, loss"):
        reward(RewardConfig(metric="AR"), {"loss": 1.0, "AP": 0.1})
    with pytest.raises(NoReward, match=r"it has: none"):
        reward(RewardConfig(), {})


def test_the_config_is_strict() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RewardConfig).validate_python({"metrics": "AP"})
