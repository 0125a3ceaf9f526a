"""The one driver's hand on a campaign: every write there is, fenced.

Each method is one transaction that begins with matching the driver's own token, or fails with
LeaseLost. Each can be repeated: what has already happened is not done again, so that a lost answer
to a COMMIT needs no guess. Each is repeated, for some minutes, while the database is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Final

from sqlalchemy import Update, func, select, update
from sqlalchemy.orm import Session

from results_db import queries
from results_db.database import Database
from results_db.errors import IllegalTransition, LeaseLost, StorageError, UnknownTrial
from results_db.fence import end_open_attempts
from results_db.metric_rows import put
from results_db.patience import PATIENCE_SECONDS, patient
from results_db.records import (
    AttemptRecord,
    CampaignRecord,
    Failure,
    MetricRecord,
    NewTrial,
    TrialRecord,
    TrialStatus,
)
from results_db.tables import AttemptRow, CampaignRow, TrialRow, now
from search_space.trial import Measurement, Progress

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 5.0
"""A sign of life is stored at most this often, unless it comes with a write."""


class Writer:
    """What `Store.take` gives; leaving the `with` block releases the campaign."""

    def __init__(self, database: Database, campaign: CampaignRecord, campaign_id: int, token: int) -> None:
        self._database = database
        self._database.patience = PATIENCE_SECONDS
        self._campaign = campaign
        self._id = campaign_id
        self._token = token
        self._last_write = time.monotonic()

    @property
    def campaign(self) -> CampaignRecord:
        """The campaign that is driven."""
        return self._campaign

    @patient
    def trials(self) -> tuple[TrialRecord, ...]:
        """Every trial by number."""
        with self._database.transaction() as session:
            return queries.trials(session, self._id)

    @patient
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """Every attempt by number and attempt."""
        with self._database.transaction() as session:
            return queries.attempts(session, self._id)

    @patient
    def intermediate(self, name: str) -> tuple[MetricRecord, ...]:
        """One metric of all trials, without those that ended a trial; by number, attempt and step."""
        with self._database.transaction() as session:
            return queries.intermediate(session, self._id, name)

    @patient
    def final(self, names: Collection[str]) -> Mapping[int, Mapping[str, float]]:
        """By trial: these metrics of the measurement that ended it, where it has any of them."""
        with self._database.transaction() as session:
            return queries.final(session, self._id, names)

    @patient
    def reserve(self, trial: NewTrial, worker: str) -> TrialRecord:
        """Store a new trial as running its first attempt."""
        with self._transaction() as (session, moment):
            stored = session.get(TrialRow, (self._id, trial.number))
            if stored is None:
                stored = TrialRow(
                    campaign_id=self._id,
                    number=trial.number,
                    status=TrialStatus.RUNNING,
                    genome=trial.genome,
                    fingerprint=trial.fingerprint,
                    note=dict(trial.note),
                    seed=trial.seed,
                    told=trial.told,
                    attempt=1,
                    proposed=moment,
                    started=moment,
                )
                session.add(stored)
                self._begin_attempt(session, stored, worker, moment)
            elif (stored.genome, stored.told) != (trial.genome, trial.told):
                raise IllegalTransition(f"{self._name(trial.number)}: this number is already another trial")
            return stored.record()

    @patient
    def start(self, number: int, attempt: int, worker: str) -> TrialRecord:
        """Store that a trial in flight is handed out again, as `attempt`, the one after its latest."""
        with self._transaction() as (session, moment):
            trial = self._trial(session, number)
            if trial.attempt == attempt and trial.status is TrialStatus.RUNNING:
                return trial.record()
            if trial.attempt != attempt - 1 or trial.finish_order is not None:
                raise self._illegal(trial, f"start attempt {attempt}")
            trial.status, trial.attempt, trial.started = TrialStatus.RUNNING, attempt, moment
            self._begin_attempt(session, trial, worker, moment)
            return trial.record()

    @patient
    def observe(self, number: int, attempt: int, progress: Progress) -> None:
        """Store the metrics of a step."""
        with self._transaction() as (session, _):
            trial = self._trial(session, number)
            if trial.attempt == attempt and trial.finish_order is not None:
                return  # asked again after a later step: these are stored
            if trial.attempt != attempt or trial.status is not TrialStatus.RUNNING:
                raise self._illegal(trial, f"observe attempt {attempt}")
            put(session, (self._id, number, attempt, progress.step), progress.metrics, final=False)

    @patient
    def finish(self, number: int, attempt: int, measurement: Measurement, reward: float) -> TrialRecord:
        """End a running trial with a measurement and its (finite) reward, giving it a finish order."""
        with self._transaction() as (session, moment):
            trial = self._trial(session, number)
            if trial.attempt == attempt and trial.status is TrialStatus.FINISHED:
                return trial.record()
            self._end_attempt(session, trial, attempt, moment, measurement.provenance)
            step = measurement.step
            put(session, (self._id, number, attempt, step), measurement.metrics, final=True)
            self._end(session, trial, TrialStatus.FINISHED, moment)
            trial.reward = reward
            return trial.record()

    @patient
    def stop(self, number: int, attempt: int, provenance: Mapping[str, str]) -> TrialRecord:
        """End a running trial early, by rule: without a reward, but with a finish order."""
        with self._transaction() as (session, moment):
            trial = self._trial(session, number)
            if trial.attempt == attempt and trial.status is TrialStatus.STOPPED:
                return trial.record()
            self._end_attempt(session, trial, attempt, moment, provenance)
            self._end(session, trial, TrialStatus.STOPPED, moment)
            return trial.record()

    @patient
    def fail(self, number: int, attempt: int, failure: Failure) -> TrialRecord:
        """End a running trial as failed, giving it a finish order."""
        with self._transaction() as (session, moment):
            trial = self._trial(session, number)
            if trial.attempt == attempt and trial.status is TrialStatus.FAILED:
                return trial.record()
            self._end_attempt(session, trial, attempt, moment, failure)
            self._end(session, trial, TrialStatus.FAILED, moment)
            trial.failure_kind, trial.failure_message = failure.kind, _plain(failure.message)
            return trial.record()

    @patient
    def give_back(self, number: int, attempt: int, failure: Failure) -> TrialRecord:
        """End the attempt, which failed, but not the trial, which waits to be handed out again."""
        with self._transaction() as (session, moment):
            return self._give_back(session, number, attempt, moment, failure)

    @patient
    def give_back_all(self, attempts: Mapping[int, int]) -> Mapping[int, TrialRecord]:
        """End these attempts, by trial, where nothing failed: all at one moment, however many they are."""
        with self._transaction() as (session, moment):
            return {n: self._give_back(session, n, attempt, moment, {}) for n, attempt in attempts.items()}

    @patient
    def hold(self) -> None:
        """Make sure that nobody has taken the campaign over; raises LeaseLost."""
        with self._transaction():
            pass

    def beat(self) -> None:
        """Give a sign of life, unless a write just did; raises LeaseLost."""
        if time.monotonic() - self._last_write >= BEAT_SECONDS:
            self.hold()

    def release(self) -> None:
        """Stop driving: the next taker need not wait. Does nothing where the lease is lost.

        Attempts that are still under way end here: nobody will know later how long they went on.
        """
        nobody = {"host": None, "boot": None, "pid": None, "process_start": None, "beat": None}
        try:
            with self._database.transaction() as session:
                mine = session.execute(self._mine(nobody).returning(CampaignRow.id)).first()
                if mine is not None:
                    end_open_attempts(session, self._id, now())
        except StorageError as error:
            log.warning("not released, the next driver may have to wait: %s", error)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Session, datetime]]:
        """A transaction that holds the campaign's row, and the time of everything that happens in it."""
        moment = now()
        with self._database.transaction() as session:
            if session.execute(self._mine({"beat": moment}).returning(CampaignRow.id)).first() is None:
                raise LeaseLost(
                    f"campaign {self._campaign.name!r}: another process has taken it over,"
                    " this one may not write any more"
                )
            yield session, moment
        self._last_write = time.monotonic()

    def _mine(self, values: Mapping[str, object]) -> Update:
        """An update of the campaign's row that does nothing once the lease is lost or given up."""
        mine = (CampaignRow.id == self._id, CampaignRow.token == self._token, CampaignRow.pid.is_not(None))
        return update(CampaignRow).where(*mine).values(values)

    def _trial(self, session: Session, number: int) -> TrialRow:
        trial = session.get(TrialRow, (self._id, number))
        if trial is None:
            raise UnknownTrial(f"{self._name(number)}: was never reserved")
        return trial

    def _begin_attempt(self, session: Session, trial: TrialRow, worker: str, moment: datetime) -> None:
        session.flush()  # the trial first: an attempt begins as the one that its trial is at
        session.add(
            AttemptRow(
                campaign_id=self._id,
                number=trial.number,
                attempt=trial.attempt,
                worker=_plain(worker)[:200],
                started=moment,
                provenance={},
            )
        )

    def _give_back(
        self,
        session: Session,
        number: int,
        attempt: int,
        moment: datetime,
        end: Failure | Mapping[str, str],
    ) -> TrialRecord:
        trial = self._trial(session, number)
        if trial.attempt != attempt or trial.status is not TrialStatus.PROPOSED:  # else this was done before
            self._end_attempt(session, trial, attempt, moment, end)
            trial.status = TrialStatus.PROPOSED
        return trial.record()

    def _end_attempt(
        self,
        session: Session,
        trial: TrialRow,
        attempt: int,
        moment: datetime,
        end: Failure | Mapping[str, str],
    ) -> None:
        if trial.attempt != attempt or trial.status is not TrialStatus.RUNNING:
            raise self._illegal(trial, f"end attempt {attempt}")
        row = session.get_one(AttemptRow, (self._id, trial.number, attempt))
        row.ended = moment
        row.seconds = max(0.0, (moment - row.started).total_seconds())  # the clock may have been set back
        row.provenance = dict(end.provenance if isinstance(end, Failure) else end)
        if isinstance(end, Failure):
            row.failure_kind, row.failure_message = end.kind, _plain(end.message)
        session.flush()  # an attempt ends before its trial does: the guards see to it

    def _end(self, session: Session, trial: TrialRow, status: TrialStatus, moment: datetime) -> None:
        last = session.scalar(select(func.max(TrialRow.finish_order)).where(TrialRow.campaign_id == self._id))
        trial.status, trial.ended, trial.finish_order = status, moment, (last or 0) + 1

    def _name(self, number: int) -> str:
        return f"campaign {self._campaign.name!r} trial {number}"

    def _illegal(self, trial: TrialRow, what: str) -> IllegalTransition:
        return IllegalTransition(
            f"{self._name(trial.number)}: cannot {what}, it is {trial.status} at attempt {trial.attempt}"
        )


def _plain(text: str) -> str:
    """Text that every database can hold: whatever a worker says, its campaign goes on."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
