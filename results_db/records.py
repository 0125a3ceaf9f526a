"""What the database holds, as frozen records: the only form in which it leaves this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from search_space.trial import FailureKind

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class TrialStatus(StrEnum):
    """The states of a trial: proposed and running are in flight, the others have ended.

    `proposed`: reserved and waiting to be handed out (again); `running`: handed out, as far as the
    database knows; `stopped`: ended early by rule, without a reward.
    """

    PROPOSED = "proposed"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED: Final = (TrialStatus.FINISHED, TrialStatus.STOPPED, TrialStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or a trial gave no measurement; `provenance` is the attempt's, as far as it is known."""

    kind: FailureKind
    message: str
    provenance: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCampaign:
    """A campaign to be added: everything that decides what it will do, resolved, as data.

    `config` is the resolved config as JSON; the hashes name its recipe, its data and their splits;
    `versions` says with which libraries and on what platform it was made.
    """

    name: str
    seed: int
    config: Mapping[str, Json]
    config_hash: str
    code_version: str
    recipe_hash: str = ""
    data_hash: str = ""
    splits_hash: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRecord(NewCampaign):
    """A campaign as it is stored; times are in UTC."""

    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceRecord:
    """Who drives a campaign. The token grows by one with every new driver and is never used again.

    The holder's fields are None while nobody drives it; `boot` names the boot of the host (and its
    process namespace), `process_start` tells a process from a later one with the same pid; `beat` is
    the time of the holder's last sign of life, by its own clock.
    """

    token: int
    host: str | None = None
    boot: str | None = None
    pid: int | None = None
    process_start: str | None = None
    beat: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrial:
    """A trial to be reserved; `told` is how many outcomes the controller knew when it proposed it."""

    number: int
    genome: str
    fingerprint: str
    note: Mapping[str, Json]
    seed: int
    told: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord(NewTrial):
    """A trial as it is stored.

    `attempt` counts from 1 and is the latest one. Set together: `finish_order` (from 1, in the order
    in which outcomes were told) and `ended`, exactly for trials that ended; `reward` exactly for the
    finished ones, `failure` exactly for the failed ones. `started` is when the latest attempt was.
    """

    status: TrialStatus
    attempt: int
    proposed: datetime
    started: datetime
    ended: datetime | None = None
    finish_order: int | None = None
    reward: float | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt at a trial. Without an end it is either under way or was cut off with its driver.

    A cut-off one gets its end when the next driver takes over: the last sign of life of the dead one. An
    attempt that ended without a failure before its trial did was given back, or cut off.

    `seconds` is from hand-out to result on the driver's clock; `provenance` comes from the worker.
    """

    number: int
    attempt: int
    worker: str
    started: datetime
    ended: datetime | None = None
    seconds: float | None = None
    failure: Failure | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCounts:
    """How many attempts there were: in all, failed by kind, and cut off when their driver stopped or died.

    The latest attempt of a running trial is not among those cut off, whether its driver lives or not.
    """

    total: int
    failed: Mapping[FailureKind, int]
    cut_off: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRecord:
    """One metric after `step` steps of one attempt; NaN when it was no finite number.

    `final` marks those of the measurement that ended the trial.
    """

    number: int
    attempt: int
    step: int
    name: str
    value: float
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Where a campaign stands at one moment, for those who look often.

    `failures` are the failed trials by kind, `attempts` how they ended; `recent` the start and the end
    of the latest outcomes, oldest first; `best` is the trial of highest reward; `rewards` in finish order.
    """

    campaign: CampaignRecord
    fence: FenceRecord
    counts: Mapping[TrialStatus, int]
    failures: Mapping[FailureKind, int]
    attempts: AttemptCounts
    recent: tuple[tuple[datetime, datetime], ...]
    best: TrialRecord | None
    rewards: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a driver reads when it opens a campaign, as it was at one moment.

    `intermediate`: one metric of all trials, without those that ended a trial; `final`: some of those.
    """

    campaign: CampaignRecord
    trials: tuple[TrialRecord, ...]
    attempts: tuple[AttemptRecord, ...]
    intermediate: tuple[MetricRecord, ...]
    final: Mapping[int, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeCampaign:
    """A campaign at one moment; `final` has, by trial, the metrics of the measurement that ended it."""

    campaign: CampaignRecord
    trials: tuple[TrialRecord, ...]
    attempts: tuple[AttemptRecord, ...]
    final: Mapping[int, Mapping[str, float]]
