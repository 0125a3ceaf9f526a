"""The reward: from the facts of a measurement to the one number that a campaign maximises; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never

from nas.reward_config import (
    AbsoluteReward,
    BySizeReward,
    Constrained,
    HardReward,
    PlainReward,
    RewardConfig,
    SoftReward,
)


class NoReward(ValueError):
    """The measurement does not hold what the rule needs."""


class NotFinite(ValueError):
    """A metric that the rule needs, or the reward itself, is no finite number."""


def reward(config: RewardConfig, metrics: Mapping[str, float]) -> float:
    """The reward of a measurement's metrics; raises NoReward and NotFinite."""
    match config:
        case PlainReward():
            return finite(config.metric, metrics)
        case BySizeReward():
            return _by_size(config, metrics)
        case SoftReward() | HardReward() | AbsoluteReward():
            return _constrained(config, metrics)
        case _:
            assert_never(config)


def finite(name: str, metrics: Mapping[str, float], part: str = "reward") -> float:
    """One metric of a measurement, as it is; `part` of the config needs it. Raises NoReward, NotFinite."""
    if name not in metrics:
        known = ", ".join(sorted(metrics)) or "none"
        raise NoReward(f"{part}: no metric {name!r} in the measurement, it has: {known}")
    value = float(metrics[name])
    if not math.isfinite(value):
        raise NotFinite(f"{part}: {name}={value}, expected a finite number")
    return value


def _constrained(config: Constrained, metrics: Mapping[str, float]) -> float:
    value, cost = finite(config.metric, metrics), finite(config.cost, metrics)
    if cost <= 0:
        raise NoReward(f"reward: {config.cost}={cost}, expected a cost above 0")
    ratio = cost / config.target
    if isinstance(config, AbsoluteReward):
        return _checked(value + config.beta * abs(ratio - 1))
    if value < 0:  # a factor below 1 would raise it
        raise NoReward(f"reward: {config.metric}={value}, expected 0 or more for a {config.kind} constraint")
    if isinstance(config, HardReward):
        return _checked(value * _power(ratio, config.beta) if ratio > 1 else value)
    return _checked(value * _power(ratio, config.alpha if ratio <= 1 else config.beta))


def _by_size(config: BySizeReward, metrics: Mapping[str, float]) -> float:
    present = {name: weight for name, weight in config.weights.items() if name in metrics}
    if not present:
        known = ", ".join(sorted(metrics)) or "none"
        raise NoReward(f"reward: none of {', '.join(config.needs)} in the measurement, it has: {known}")
    total = sum(weight * finite(name, metrics) for name, weight in present.items())
    return total / sum(present.values())


def _power(ratio: float, exponent: float) -> float:
    try:
        return float(ratio**exponent)
    except OverflowError:
        return math.inf


def _checked(value: float) -> float:
    if not math.isfinite(value):
        raise NotFinite(f"reward: {value}, expected a finite number")
    return value
