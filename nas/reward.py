"""Reward rules: from the facts of a measurement to the one number that a campaign maximises; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class NoReward(ValueError):
    """The measurement does not hold the metric that the rule needs."""


class NotFinite(ValueError):
    """The metric that the rule needs is no finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig:
    """The reward is this metric, as it is."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    metric: str = "AP"


def reward(config: RewardConfig, metrics: Mapping[str, float]) -> float:
    """The reward of a measurement's metrics; raises NoReward and NotFinite."""
    if config.metric not in metrics:
        known = ", ".join(sorted(metrics)) or "none"
        raise NoReward(f"reward: no metric {config.metric!r} in the measurement, it has: {known}")
    value = float(metrics[config.metric])
    if not math.isfinite(value):
        raise NotFinite(f"reward: {config.metric}={value}, expected a finite number")
    return value
