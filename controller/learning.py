"""The settings of learning by policy gradients, whatever the algorithm."""

from __future__ import annotations

import math
from typing import Protocol


class Learning(Protocol):
    """The settings that both algorithms have.

    `batch` outcomes make an update. `units` is the size of the LSTM, `seed` that of its untrained weights.
    `learning_rate` is Adam's, `entropy` the weight of the sequence's entropy (in nats) beside the reward.
    `baseline` is the decay, for each reward, of the moving average that rewards are compared with.
    `failure_reward` is learned for failures that a genome may have caused; None: nothing is.
    """

    @property
    def kind(self) -> str: ...
    @property
    def batch(self) -> int: ...
    @property
    def units(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def entropy(self) -> float: ...
    @property
    def baseline(self) -> float: ...
    @property
    def failure_reward(self) -> float | None: ...


def check_learning(config: Learning) -> None:
    """Raise ValueError for settings with which nothing can be learned."""
    for name in ("batch", "units"):
        if not 1 <= getattr(config, name) <= 10_000:
            raise ValueError(f"{config.kind}: {name}={getattr(config, name)}, expected 1 to 10000")
    if config.seed < 0:
        raise ValueError(f"{config.kind}: seed={config.seed}, expected 0 or more")
    if not 0 < config.learning_rate <= 1:
        raise ValueError(f"{config.kind}: learning_rate={config.learning_rate}, expected over 0, at most 1")
    if not 0 <= config.entropy < math.inf:
        raise ValueError(f"{config.kind}: entropy={config.entropy}, expected 0 or more")
    if not 0 <= config.baseline < 1:
        raise ValueError(f"{config.kind}: baseline={config.baseline}, expected 0 or more, under 1")
    if config.failure_reward is not None and not math.isfinite(config.failure_reward):
        raise ValueError(f"{config.kind}: failure_reward={config.failure_reward}, expected a number or none")
