"""What can be asked of a campaign in the database: each a question with records for an answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from results_db.records import AttemptCounts, AttemptRecord, MetricRecord, Summary, TrialRecord, TrialStatus
from results_db.tables import AttemptRow, CampaignRow, MetricRow, TrialRow
from search_space.trial import FailureKind


def trials(session: Session, campaign_id: int) -> tuple[TrialRecord, ...]:
    """Every trial by number."""
    rows = select(TrialRow).where(TrialRow.campaign_id == campaign_id).order_by(TrialRow.number)
    return tuple(row.record() for row in session.scalars(rows))


def best(session: Session, campaign_id: int) -> TrialRecord | None:
    """The finished trial of highest reward, of equals the one that finished first."""
    rows = (
        select(TrialRow)
        .where(TrialRow.campaign_id == campaign_id, TrialRow.status == TrialStatus.FINISHED)
        .order_by(TrialRow.reward.desc(), TrialRow.finish_order)
        .limit(1)
    )
    found = session.scalars(rows).first()
    return None if found is None else found.record()


def values(session: Session, campaign_id: int) -> tuple[tuple[int, str, float], ...]:
    """Number, fingerprint and reward of the finished trials, by number."""
    rows = (
        select(TrialRow.number, TrialRow.fingerprint, TrialRow.reward)
        .where(TrialRow.campaign_id == campaign_id, TrialRow.status == TrialStatus.FINISHED)
        .order_by(TrialRow.number)
    )
    return tuple((row.number, row.fingerprint, row.reward) for row in session.execute(rows))


def rewards(session: Session, campaign_id: int) -> tuple[float, ...]:
    """The rewards of the finished trials in finish order."""
    rows = (
        select(TrialRow.reward)
        .where(TrialRow.campaign_id == campaign_id, TrialRow.status == TrialStatus.FINISHED)
        .order_by(TrialRow.finish_order)
    )
    return tuple(reward for reward in session.scalars(rows) if reward is not None)


def counts(session: Session, campaign_id: int) -> Mapping[TrialStatus, int]:
    """How many trials are in each status, zeros included."""
    rows = (
        select(TrialRow.status, func.count().label("total"))
        .where(TrialRow.campaign_id == campaign_id)
        .group_by(TrialRow.status)
    )
    found = {row.status: row.total for row in session.execute(rows)}
    return {status: found.get(status, 0) for status in TrialStatus}


def attempts_by_end(session: Session, campaign_id: int) -> AttemptCounts:
    """How many attempts there were, and how they ended."""
    of_trial = and_(TrialRow.campaign_id == AttemptRow.campaign_id, TrialRow.number == AttemptRow.number)
    latest = and_(
        TrialRow.attempt == AttemptRow.attempt,
        TrialRow.status.in_((TrialStatus.RUNNING, TrialStatus.FINISHED, TrialStatus.STOPPED)),
    )
    rows = (
        select(AttemptRow.failure_kind, latest.label("latest"), func.count().label("total"))
        .join(TrialRow, of_trial)
        .where(AttemptRow.campaign_id == campaign_id)
        .group_by(AttemptRow.failure_kind, latest)
    )
    found = session.execute(rows).all()
    failed: Counter[FailureKind] = Counter()
    for row in found:
        if row.failure_kind is not None:
            failed[row.failure_kind] += row.total
    return AttemptCounts(
        total=sum(row.total for row in found),
        failed=dict(failed),
        cut_off=sum(row.total for row in found if row.failure_kind is None and not row.latest),
    )


def failures(session: Session, campaign_id: int) -> Mapping[FailureKind, int]:
    """How many trials failed, by kind."""
    rows = (
        select(TrialRow.failure_kind, func.count().label("total"))
        .where(TrialRow.campaign_id == campaign_id, TrialRow.status == TrialStatus.FAILED)
        .group_by(TrialRow.failure_kind)
    )
    return {row.failure_kind: row.total for row in session.execute(rows) if row.failure_kind is not None}


def recent(session: Session, campaign_id: int, limit: int) -> tuple[tuple[datetime, datetime], ...]:
    """When the trials that ended last were started and ended, oldest first."""
    rows = (
        select(TrialRow.started, TrialRow.ended)
        .where(TrialRow.campaign_id == campaign_id, TrialRow.finish_order.is_not(None))
        .order_by(TrialRow.finish_order.desc())
        .limit(limit)
    )
    return tuple((started, ended) for started, ended in session.execute(rows) if ended is not None)[::-1]


def summary(session: Session, row: CampaignRow, latest: int) -> Summary:
    """Where a campaign stands; `latest` outcomes are looked at one by one."""
    return Summary(
        campaign=row.record(),
        fence=row.fence(),
        counts=counts(session, row.id),
        failures=failures(session, row.id),
        attempts=attempts_by_end(session, row.id),
        recent=recent(session, row.id, latest),
        best=best(session, row.id),
        rewards=rewards(session, row.id),
    )


def intervals(session: Session, campaign_id: int) -> tuple[tuple[datetime, datetime | None], ...]:
    """From when to when each attempt took; without an end where it has none yet."""
    # Half of what it takes is to read times: their ends are where their seconds lead.
    rows = select(AttemptRow.started, AttemptRow.seconds).where(AttemptRow.campaign_id == campaign_id)
    return tuple(
        (started, None if seconds is None else started + timedelta(seconds=seconds))
        for started, seconds in session.execute(rows)
    )


def durations(session: Session, campaign_id: int) -> tuple[int, timedelta]:
    """How many trials finished, and how long their latest attempts took together."""
    of_trial = and_(TrialRow.campaign_id == AttemptRow.campaign_id, TrialRow.number == AttemptRow.number)
    row = session.execute(
        select(func.count(), func.sum(AttemptRow.seconds))
        .join(TrialRow, and_(of_trial, TrialRow.attempt == AttemptRow.attempt))
        .where(AttemptRow.campaign_id == campaign_id, TrialRow.status == TrialStatus.FINISHED)
    ).one()
    return row[0], timedelta(seconds=row[1] or 0.0)


def attempts(session: Session, campaign_id: int, number: int | None = None) -> tuple[AttemptRecord, ...]:
    """The attempts at one trial or at all, by number and attempt."""
    rows = select(AttemptRow).where(AttemptRow.campaign_id == campaign_id)
    if number is not None:
        rows = rows.where(AttemptRow.number == number)
    rows = rows.order_by(AttemptRow.number, AttemptRow.attempt)
    return tuple(row.record() for row in session.scalars(rows))


def metrics(session: Session, campaign_id: int, number: int | None = None) -> tuple[MetricRecord, ...]:
    """The metrics of one trial or of all, by number, attempt, step and name."""
    rows = select(MetricRow).where(MetricRow.campaign_id == campaign_id)
    if number is not None:
        rows = rows.where(MetricRow.number == number)
    rows = rows.order_by(MetricRow.number, MetricRow.attempt, MetricRow.step, MetricRow.name)
    return tuple(row.record() for row in session.scalars(rows))


def final(
    session: Session, campaign_id: int, names: Collection[str] | None = None
) -> Mapping[int, Mapping[str, float]]:
    """By trial: these metrics (or all) of the measurement that ended it, where it has any of them."""
    rows = select(MetricRow.number, MetricRow.name, MetricRow.value)
    rows = rows.where(MetricRow.campaign_id == campaign_id, MetricRow.final)
    if names is not None:
        rows = rows.where(MetricRow.name.in_(names))
    found: dict[int, dict[str, float]] = {}
    for number, name, value in session.execute(rows):
        found.setdefault(number, {})[name] = math.nan if value is None else value
    return found


def intermediate(session: Session, campaign_id: int, name: str) -> tuple[MetricRecord, ...]:
    """One metric of all trials, without those that ended a trial; by number, attempt and step."""
    rows = (
        select(MetricRow)
        .where(MetricRow.campaign_id == campaign_id, MetricRow.name == name, MetricRow.final.is_(False))
        .order_by(MetricRow.number, MetricRow.attempt, MetricRow.step)
    )
    return tuple(row.record() for row in session.scalars(rows))
