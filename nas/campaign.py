"""A campaign as a state machine that knows no engine: what to try next, and what became of it.

Reserve before evaluate, store before tell: so opening a campaign and resuming it are the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Protocol

from controller.protocol import Controller, G, Space, Textual
from nas.reward import RewardConfig
from proxy_trainer.protocol import TrialFailed
from results_db.records import TrialRecord, TrialStatus
from search_space.trial import Assignment, FailureKind, Measurement, Progress

if TYPE_CHECKING:  # SQLAlchemy takes a moment to import, and only who opens a database needs it
    from results_db.writer import Writer


class TooManyFailures(RuntimeError):
    """So many trials failed that going on would waste the budget."""


class DataFailure(RuntimeError):
    """The data cannot be read, so no trial can succeed; the trial was given back and will be tried again."""


class ControllerStuck(RuntimeError):
    """The controller waits for outcomes, but nothing is in flight."""


class CampaignSpace(Space[G], Textual[G], Protocol[G]):
    """What a campaign needs of its space."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to hand out until a running trial has ended."""


@dataclass(frozen=True, slots=True)
class Done:
    """The budget is spent, nothing is in flight and nothing can come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRules:
    """What decides how a campaign goes on: part of its config.

    `trials` is the budget. `retries` says how often a trial is tried again after each kind of
    failure (0 where it says nothing). The campaign stops when more than `failure_share` of the ended
    trials failed, `min_failures` at least.
    """

    trials: int
    reward: RewardConfig = RewardConfig()
    retries: Mapping[FailureKind, int] = field(default_factory=lambda: {FailureKind.LOST_WORKER: 1})
    failure_share: float = 0.5
    min_failures: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Where a campaign stands, for those who look.

    `running` are the numbers handed out now and `waiting` those to be handed out again; `rewards`
    are those of the finished trials in finish order; `failures` counts the failed trials by kind,
    `retried` the attempts that failed and were given back; `created` is when the campaign was.
    """

    name: str
    budget: int
    counts: Mapping[TrialStatus, int]
    running: tuple[int, ...]
    waiting: tuple[int, ...]
    best: TrialRecord | None
    rewards: tuple[float, ...]
    failures: Mapping[FailureKind, int]
    retried: Mapping[FailureKind, int]
    created: datetime


class Campaign(Generic[G]):
    """One driver's view of a campaign; everything it knows is in the database or follows from it.

    Constructing it tells the controller (which must be fresh) every outcome in finish order, and
    puts what was in flight back in line. Every verb can be repeated after a StorageError.
    """

    def __init__(
        self, writer: Writer, rules: CampaignRules, space: CampaignSpace[G], controller: Controller[G]
    ) -> None:
        raise NotImplementedError

    def propose(self, worker: str = "") -> Assignment | Wait | Done:
        """Hand out the next attempt, storing it first; `worker` says who gets it.

        Raises TooManyFailures, ControllerStuck.
        """
        raise NotImplementedError

    def observe(self, number: int, attempt: int, progress: Progress) -> bool:
        """Store intermediate metrics; False means the trial ends here: close it and report nothing."""
        raise NotImplementedError

    def record(self, number: int, attempt: int, result: Measurement | TrialFailed) -> None:
        """Store what became of an attempt, then tell the controller.

        The first result of the attempt that is under way counts; every other one is logged and
        ignored. A failure with retries left gives the trial back. Raises DataFailure.
        """
        raise NotImplementedError

    def beat(self) -> None:
        """Give a sign of life; cheap enough to be called at every turn of a loop."""
        raise NotImplementedError

    def snapshot(self) -> Snapshot:
        """Where the campaign stands now."""
        raise NotImplementedError
