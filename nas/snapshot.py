"""Where a campaign stands at one moment, for those who look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from nas.budget import Use
from results_db.records import ENDED, TrialRecord, TrialStatus
from search_space.trial import FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Where a campaign stands, for those who look.

    `running` are the numbers handed out now and `waiting` those to be handed out again; `rewards`
    are those of the finished trials in finish order; `failures` counts the failed trials by kind,
    `retried` the attempts that failed and were given back; `created` is when the campaign was; `uses`
    are those of the hard limits, and `spent` says that they have no room for another trial.
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
    uses: tuple[Use, ...] = ()
    spent: bool = False


def ended(snapshot: Snapshot) -> int:
    """How many trials have ended, in whatever way."""
    return sum(snapshot.counts.get(state, 0) for state in ENDED)
