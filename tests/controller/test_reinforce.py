"""REINFORCE's settings and its weights of advantages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.reinforce import ReinforceConfig, truncated_slope


def test_ratios_count_up_to_the_truncation() -> None:
    ratios, advantages = np.array([0.5, 1.0, 7.0, 0.5, 7.0]), np.array([2.0, 2.0, 2.0, -2.0, -2.0])
    np.testing.assert_allclose(truncated_slope(ratios, advantages, 1.0), [1, 2, 2, -1, -2])
    np.testing.assert_allclose(truncated_slope(ratios, advantages, 5.0), [1, 2, 10, -1, -10])


def test_the_defaults_are_published() -> None:
    config = ReinforceConfig()
    assert config.batch == 8  # Zoph and Le 2017: 8 by each controller replica
    assert (config.learning_rate, config.entropy, config.baseline) == (3.5e-4, 1e-5, 0.95)
    assert config.units == 100


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"batch": 0}, "batch=0, expected 1 to 10000"),
        ({"units": 0}, "units=0, expected 1 to 10000"),
        ({"seed": -1}, "seed=-1, expected 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate=0.0, expected over 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"entropy": -1e-5}, "entropy=-1e-05, expected 0 or more"),
        ({"entropy": float("inf")}, "entropy=inf"),
        ({"baseline": 1.0}, "baseline=1.0, expected 0 or more, under 1"),
        ({"failure_reward": float("-inf")}, "failure_reward=-inf, expected a number or none"),
        ({"truncation": 0.5}, "truncation=0.5, expected 1 to 1000"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"reinforce: {complaint}"):
        ReinforceConfig(**setting)
