"""The rules of a campaign: its budget, its reward, and what failures lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from nas.budget import Limit
from nas.objectives import Objective, values
from nas.reward import NoReward, NotFinite, reward
from nas.reward_config import PlainReward, RewardConfig
from nas.stopping import HalvingConfig
from proxy_trainer.protocol import TrialFailed
from results_db.records import Failure
from search_space.trial import FailureKind, Measurement

ALONE: Final = frozenset({FailureKind.OUT_OF_MEMORY})
"""After these, by default, a trial that had neighbours is tried again without them: they may be why."""


class Verdict(StrEnum):
    """What is done about an attempt that failed.

    `elsewhere` and `alone`: the trial is tried again, on another worker, or with a node to itself;
    `give_up`: it has failed; `stop`: it waits, and the campaign stops.
    """

    ELSEWHERE = "elsewhere"
    ALONE = "alone"
    GIVE_UP = "give_up"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRules:
    """What decides how a campaign goes on: part of its config.

    `trials` and the hard `limits` are the budget. The controller is told the `objectives`, or the reward
    where there are none. `retries` says how often a trial is tried again after each kind of failure (0
    where it says nothing). After the kinds of `alone`, a trial that had shared its node is tried again
    without neighbours. After those of `stop` the campaign stops once there are no retries left, as it does
    when more than `failure_share` of the ended trials failed, `min_failures` at least.
    """

    trials: int
    limits: tuple[Limit, ...] = ()
    reward: RewardConfig = field(default_factory=PlainReward)
    objectives: tuple[Objective, ...] = ()
    retries: Mapping[FailureKind, int] = field(default_factory=lambda: {FailureKind.LOST_WORKER: 2})
    alone: frozenset[FailureKind] = ALONE
    stop: frozenset[FailureKind] = frozenset()
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

    def judged(self, result: Measurement | TrialFailed) -> tuple[Measurement, float] | Failure:
        """The measurement with its reward, or why there is none."""
        if isinstance(result, TrialFailed):
            return Failure(result.kind, result.message, result.provenance)
        try:
            values(self.objectives, result.metrics)  # raises before anything is stored
            return result, reward(self.reward, result.metrics)
        except NoReward as error:
            return Failure(FailureKind.INTERNAL, str(error), result.provenance)
        except NotFinite as error:
            return Failure(FailureKind.DIVERGED, str(error), result.provenance)

    def verdict(self, kind: FailureKind, before: int, *, shared: bool) -> Verdict:
        """What is done about an attempt that failed, of a trial that failed like this `before` times.

        `shared`: other trials ran on the same node. Unreadable data is nobody's fault but the data's: unless
        it is to be tried again, as where file systems hiccup, the trial waits until that is mended.
        """
        if kind is FailureKind.DATA:
            return Verdict.ELSEWHERE if before < self.retries.get(kind, 0) else Verdict.STOP
        if shared and kind in self.alone:
            return Verdict.ALONE
        if before < self.retries.get(kind, 0):
            return Verdict.ELSEWHERE
        return Verdict.STOP if kind in self.stop else Verdict.GIVE_UP

    def too_many(self, failed: int, ended: int) -> bool:
        """Whether so many of the ended trials failed that the campaign must stop."""
        return failed >= self.min_failures and failed > self.failure_share * ended
