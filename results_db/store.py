"""The database from outside: open one, look things up, add a campaign, and take one to drive it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from results_db import integrity, queries, reward_sets
from results_db.database import Access, Database
from results_db.errors import CampaignExists, StorageError, UnknownCampaign, UnknownTrial
from results_db.fence import Holder, claim
from results_db.patience import patient
from results_db.records import (
    AttemptCounts,
    AttemptRecord,
    CampaignRecord,
    FenceRecord,
    Json,
    MetricRecord,
    NewCampaign,
    Past,
    Summary,
    TrialRecord,
    TrialStatus,
    WholeCampaign,
)
from results_db.schema import prepare
from results_db.tables import CampaignRow, TrialRow, now
from results_db.writer import Writer

LEASE_SECONDS: Final = 120.0


class Store:
    """A database at a SQLAlchemy URL. Every method is one short transaction; all raise StorageError.

    Once a campaign was taken, whatever only looks waits for a lost database, as its writer does.
    """

    def __init__(self, url: str, access: Access) -> None:
        self._database = Database(url, access)
        try:
            prepare(self._database)
        except StorageError:
            self._database.close()
            raise

    @staticmethod
    def create(url: str) -> Store:
        """Open the database for writing, making it (but not its folder) where there is none."""
        return Store(url, Access.CREATE)

    @staticmethod
    def open(url: str) -> Store:
        """Open an existing database for writing; raises NoDatabase, NotADatabase, NewerDatabase."""
        return Store(url, Access.WRITE)

    @staticmethod
    def read(url: str) -> Store:
        """Open an existing database for reading only: never creates, blocks or changes anything."""
        return Store(url, Access.READ)

    @property
    def where(self) -> str:
        """The database as it may be shown: without a password."""
        return self._database.where

    @property
    def revision(self) -> str:
        """The revision of its schema."""
        with self._database.transaction() as session:
            return integrity.revision(session)

    def problems(self) -> list[str]:
        """What is wrong with the database itself, each in one line."""
        with self._database.transaction() as session:
            return integrity.problems(session)

    def whole(self, name: str) -> WholeCampaign:
        """A campaign as it is at one moment, without progress; raises UnknownCampaign."""
        with self._campaign(name) as (session, row):
            return WholeCampaign(
                campaign=row.record(),
                trials=queries.trials(session, row.id),
                attempts=queries.attempts(session, row.id),
                final=queries.final(session, row.id),
            )

    def past(self, name: str, intermediate: str | None, final: Collection[str]) -> Past:
        """What a driver would read if it opened the campaign now; raises UnknownCampaign."""
        with self._campaign(name) as (session, row):
            return Past(
                campaign=row.record(),
                trials=queries.trials(session, row.id),
                attempts=queries.attempts(session, row.id),
                intermediate=queries.intermediate(session, row.id, intermediate) if intermediate else (),
                final=queries.final(session, row.id, final),
            )

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, campaign: NewCampaign) -> None:
        """Store a new campaign; raises CampaignExists."""
        with self._database.transaction() as session:
            if session.scalar(select(CampaignRow.id).where(CampaignRow.name == campaign.name)) is not None:
                raise CampaignExists(f"campaign {campaign.name!r}: there is one of this name already")
            session.add(
                CampaignRow(
                    name=campaign.name,
                    seed=campaign.seed,
                    config=dict(campaign.config),
                    config_hash=campaign.config_hash,
                    recipe_hash=campaign.recipe_hash,
                    data_hash=campaign.data_hash,
                    splits_hash=campaign.splits_hash,
                    code_version=campaign.code_version,
                    versions=dict(campaign.versions),
                    created=now(),
                    token=0,
                )
            )

    def rescore(self, name: str, label: str, rule: Mapping[str, Json], rewards: Mapping[int, float]) -> None:
        """Store rewards by trial number as a set beside those that the controller was told.

        A set of the same label and rule is brought up to date. Raises LabelTaken, UnknownCampaign. Needs no
        lease: it touches nothing that a driver reads or writes.
        """
        with self._campaign(name) as (session, row):
            reward_sets.put(session, row, label, rule, rewards)

    @patient
    def reward_sets(self, name: str) -> Mapping[str, tuple[Mapping[str, Json], Mapping[int, float]]]:
        """Each such set by its label: the rule, and the rewards by trial number."""
        with self._campaign(name) as (session, row):
            return reward_sets.every(session, row)

    @patient
    def rescored(self, name: str, label: str, limit: int) -> tuple[tuple[TrialRecord, float], ...]:
        """The trials of highest reward in such a set, with it, best first; raises UnknownLabel."""
        with self._campaign(name) as (session, row):
            return reward_sets.top(session, row, label, limit)

    def take(self, name: str, *, lease_seconds: float = LEASE_SECONDS, me: Holder | None = None) -> Writer:
        """Become the one driver of a campaign; raises CampaignBusy, UnknownCampaign.

        From a dead process of this host at once; from a process elsewhere after its beat has stood
        still for `lease_seconds`, which this call waits for. `me` is this process unless told.
        """
        with self._campaign(name) as (_, row):
            campaign, campaign_id = row.record(), row.id
        token = claim(self._database, campaign_id, me or Holder.me(), lease_seconds)
        return Writer(self._database, campaign, campaign_id, token)

    @patient
    def campaigns(self) -> tuple[CampaignRecord, ...]:
        """Every campaign, oldest first."""
        with self._database.transaction() as session:
            return tuple(
                row.record() for row in session.scalars(select(CampaignRow).order_by(CampaignRow.id))
            )

    @patient
    def campaign(self, name: str) -> CampaignRecord:
        """One campaign; raises UnknownCampaign."""
        with self._campaign(name) as (_, row):
            return row.record()

    @patient
    def fence(self, name: str) -> FenceRecord:
        """Who drives the campaign; raises UnknownCampaign."""
        with self._campaign(name) as (_, row):
            return row.fence()

    @patient
    def summary(self, name: str, latest: int) -> Summary:
        """Where a campaign stands, with its `latest` outcomes; quick, whatever its size."""
        with self._campaign(name) as (session, row):
            return queries.summary(session, row, latest)

    @patient
    def trials(self, name: str) -> tuple[TrialRecord, ...]:
        """Every trial by number; raises UnknownCampaign."""
        with self._campaign(name) as (session, row):
            return queries.trials(session, row.id)

    @patient
    def trial(self, name: str, number: int) -> TrialRecord:
        """One trial; raises UnknownCampaign, UnknownTrial."""
        with self._campaign(name) as (session, row):
            trial = session.get(TrialRow, (row.id, number))
            if trial is None:
                raise UnknownTrial(f"campaign {name!r}: no trial {number}")
            return trial.record()

    @patient
    def values(self, name: str) -> tuple[tuple[int, str, float], ...]:
        """Number, fingerprint and reward of the finished trials, by number."""
        with self._campaign(name) as (session, row):
            return queries.values(session, row.id)

    @patient
    def rewards(self, name: str) -> tuple[float, ...]:
        """The rewards of the finished trials in finish order."""
        with self._campaign(name) as (session, row):
            return queries.rewards(session, row.id)

    @patient
    def counts(self, name: str) -> Mapping[TrialStatus, int]:
        """How many trials are in each status, zeros included."""
        with self._campaign(name) as (session, row):
            return queries.counts(session, row.id)

    @patient
    def attempts_by_end(self, name: str) -> AttemptCounts:
        """How many attempts there were, and how they ended."""
        with self._campaign(name) as (session, row):
            return queries.attempts_by_end(session, row.id)

    @patient
    def intervals(self, name: str) -> tuple[tuple[datetime, datetime | None], ...]:
        """From when to when each attempt took; without an end where it has none yet."""
        with self._campaign(name) as (session, row):
            return queries.intervals(session, row.id)

    @patient
    def durations(self, name: str) -> tuple[int, timedelta]:
        """How many trials finished, and how long their latest attempts took together."""
        with self._campaign(name) as (session, row):
            return queries.durations(session, row.id)

    @patient
    def attempts(self, name: str, number: int | None = None) -> tuple[AttemptRecord, ...]:
        """The attempts at one trial or at all, by number and attempt."""
        with self._campaign(name) as (session, row):
            return queries.attempts(session, row.id, number)

    @patient
    def metrics(self, name: str, number: int | None = None) -> tuple[MetricRecord, ...]:
        """The metrics of one trial or of all, by number, attempt, step and name."""
        with self._campaign(name) as (session, row):
            return queries.metrics(session, row.id, number)

    @patient
    def intermediate(self, name: str, metric: str) -> tuple[MetricRecord, ...]:
        """One metric of all trials, without those that ended a trial; by number, attempt and step."""
        with self._campaign(name) as (session, row):
            return queries.intermediate(session, row.id, metric)

    @patient
    def final(self, name: str, metrics: Collection[str]) -> Mapping[int, Mapping[str, float]]:
        """By trial: these metrics of the measurement that ended it, where it has any of them."""
        with self._campaign(name) as (session, row):
            return queries.final(session, row.id, metrics)

    @contextmanager
    def _campaign(self, name: str) -> Iterator[tuple[Session, CampaignRow]]:
        with self._database.transaction() as session:
            row = session.scalar(select(CampaignRow).where(CampaignRow.name == name))
            if row is None:
                known = session.scalars(select(CampaignRow.name)).all()
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(known[:5]) or 'none'}"
                raise UnknownCampaign(f"{self._database.where}: no campaign {name!r}; {hint}")
            yield session, row
