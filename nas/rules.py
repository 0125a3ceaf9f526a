"""The rules of a campaign: its budget, its reward, and what failures lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas.budget import Limit
from nas.objectives import Objective
from nas.reward_config import PlainReward, RewardConfig
from nas.stopping import HalvingConfig
from search_space.trial import FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRules:
    """What decides how a campaign goes on: part of its config.

    `trials` and the hard `limits` are the budget. The controller is told the `objectives`, or the reward
    where there are none. `retries` says how often a trial is tried again after each kind of failure (0
    where it says nothing). The campaign stops when more than `failure_share` of the ended trials failed,
    `min_failures` at least.
    """

    trials: int
    limits: tuple[Limit, ...] = ()
    reward: RewardConfig = field(default_factory=PlainReward)
    objectives: tuple[Objective, ...] = ()
    retries: Mapping[FailureKind, int] = field(default_factory=lambda: {FailureKind.LOST_WORKER: 2})
    stopping: HalvingConfig | None = None
    failure_share: float = 0.5
    min_failures: int = 5

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials={self.trials}, expected at least 1")
        if not 0 <= self.failure_share <= 1:
            raise ValueError(f"failure_share={self.failure_share}, expected a share from 0 to 1")
        if self.min_failures < 1:
            raise ValueError(f"min_failures={self.min_failures}, expected at least 1")
        if any(count < 0 for count in self.retries.values()):
            raise ValueError(f"retries={dict(self.retries)}, expected 0 or more of each")

    def may_retry(self, kind: FailureKind, before: int) -> bool:
        """Whether a trial is tried again after a failure, having failed like this `before` times.

        Unreadable data is nobody's fault but the data's: the trial waits until that is mended.
        """
        return kind is FailureKind.DATA or before < self.retries.get(kind, 0)

    def too_many(self, failed: int, ended: int) -> bool:
        """Whether so many of the ended trials failed that the campaign must stop."""
        return failed >= self.min_failures and failed > self.failure_share * ended
