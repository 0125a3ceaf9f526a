"""PPO's settings, and its clipped objective against differences."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.lstm_policy import LstmPolicy
from controller.ppo import PpoConfig, clipped_slope

CLIP: Final = 0.2


def objective(ratios: NDArray[np.float64], advantages: NDArray[np.float64]) -> NDArray[np.float64]:
    """Schulman et al. 2017, equation 7, and for negative advantages Ye et al. 2020, equation 5."""
    clipped = np.minimum(ratios * advantages, np.clip(ratios, 1 - CLIP, 1 + CLIP) * advantages)
    return np.where(advantages < 0, np.maximum(clipped, 3 * advantages), clipped)


@pytest.mark.parametrize(
    ("ratio", "advantage", "slope"),
    [
        (1.0, 2.0, 2.0),
        (1.19, 2.0, 2.38),
        (1.21, 2.0, 0.0),  # already likelier by more than the clip
        (0.5, 2.0, 1.0),  # the wrong way: never clipped
        (1.0, -2.0, -2.0),
        (0.81, -2.0, -1.62),
        (0.79, -2.0, 0.0),  # already less likely by more than the clip
        (2.0, -2.0, -4.0),  # the wrong way
        (3.1, -2.0, 0.0),  # too far the wrong way to be believed
        (1.0, 0.0, 0.0),
    ],
)
def test_the_clip_clips(ratio: float, advantage: float, slope: float) -> None:
    assert clipped_slope(np.array([ratio]), np.array([advantage]), CLIP) == pytest.approx(slope)
    h = 1e-6  # in the log-probability, so the ratio grows by a factor
    above, below = (objective(ratio * np.exp([step]), np.array([advantage])) for step in (h, -h))
    assert float((above - below)[0] / (2 * h)) == pytest.approx(slope, abs=1e-6)


def test_the_gradient_of_the_objective_is_that_of_differences() -> None:
    rng, options = np.random.default_rng(4), (3, 4, 2)
    policy = LstmPolicy(options, units=3)
    parameters = rng.normal(0, 0.7, policy.initial(0).size)
    choices = np.array([[rng.integers(count) for count in options] for _ in range(12)])
    is_open = np.ones((12, sum(options)), dtype=np.bool_)
    advantages = rng.normal(size=12)
    now = policy.evaluate(parameters, choices, is_open).log_probabilities
    behaviour = now - np.log(np.resize([1.0, 1.1, 0.5, 1.5, 0.9, 4.0], 12))

    def result(at: NDArray[np.float64]) -> float:
        ratios = np.exp(policy.evaluate(at, choices, is_open).log_probabilities - behaviour)
        return float(objective(ratios, advantages).mean())

    at = policy.evaluate(parameters, choices, is_open)
    slope = clipped_slope(np.exp(at.log_probabilities - behaviour), advantages, CLIP)
    assert 2 < np.count_nonzero(slope) < 10
    gradient = policy.gradient(at, slope / 12, np.zeros(12))
    steps = 1e-5 * np.eye(parameters.size)
    differences = [(result(parameters + step) - result(parameters - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, differences, atol=1e-8)


def test_the_defaults_are_published() -> None:
    config = PpoConfig()
    assert (config.batch, config.clip, config.units) == (20, 0.2, 100)
    assert (config.learning_rate, config.entropy, config.baseline) == (3.5e-4, 1e-5, 0.95)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"batch": 0}, "batch=0, expected 1 to 10000"),
        ({"epochs": 0}, "epochs=0, expected 1 to 1000"),
        ({"clip": 0.0}, "clip=0.0, expected over 0, under 1"),
        ({"clip": 1.0}, "clip=1.0, expected over 0, under 1"),
        ({"clip": float("nan")}, "clip=nan"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"ppo: {complaint}"):
        PpoConfig(**setting)
