"""Rewards computed anew from what is stored: named sets beside those that the controller was told."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    String,
    delete,
    insert,
    inspect,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from results_db.errors import LabelTaken, UnknownLabel
from results_db.records import Json, TrialRecord
from results_db.tables import FINITE, Base, CampaignRow, TrialRow, Utc, now


class RewardSetRow(Base):
    """A set: its label, and the rule that its rewards were computed by."""

    __tablename__ = "reward_sets"
    __table_args__ = (CheckConstraint("length(label) >= 1", "labelled"),)

    campaign_id: Mapped[int] = mapped_column(ForeignKey(CampaignRow.id), primary_key=True)
    label: Mapped[str] = mapped_column(String(64), primary_key=True)
    rule: Mapped[dict[str, Json]] = mapped_column(JSON)
    computed: Mapped[datetime] = mapped_column(Utc)


class RewardRow(Base):
    """The reward of one trial in a set; trials that have none there have no row."""

    __tablename__ = "rewards"
    __table_args__ = (
        ForeignKeyConstraint(["campaign_id", "label"], [RewardSetRow.campaign_id, RewardSetRow.label]),
        ForeignKeyConstraint(["campaign_id", "number"], [TrialRow.campaign_id, TrialRow.number]),
        CheckConstraint(FINITE.format("reward"), "reward_finite"),
    )

    campaign_id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    reward: Mapped[float] = mapped_column(Double)


def put(
    session: Session,
    campaign: CampaignRow,
    label: str,
    rule: Mapping[str, Json],
    rewards: Mapping[int, float],
) -> None:
    """Store a set, or bring the one of this label up to date. Raises LabelTaken if it has another rule."""
    key = {"campaign_id": campaign.id, "label": label}
    stored = session.get(RewardSetRow, (campaign.id, label))
    if stored is None:
        session.add(RewardSetRow(**key, rule=dict(rule), computed=now()))
        session.flush()
    elif stored.rule != rule:
        raise LabelTaken(
            f"campaign {campaign.name!r}: the rewards {label!r} are there already, by another rule; "
            "choose another label"
        )
    else:
        stored.computed = now()
        session.execute(delete(RewardRow).filter_by(**key))
    if rewards:
        rows = [{**key, "number": number, "reward": reward} for number, reward in rewards.items()]
        session.execute(insert(RewardRow), rows)


def every(
    session: Session, campaign: CampaignRow
) -> Mapping[str, tuple[Mapping[str, Json], Mapping[int, float]]]:
    """Each set by its label: the rule, and the rewards by trial number."""
    found: dict[str, tuple[Mapping[str, Json], dict[int, float]]] = {}
    if not _labels(session, campaign):
        return found
    for row in session.scalars(select(RewardSetRow).where(RewardSetRow.campaign_id == campaign.id)):
        found[row.label] = (row.rule, {})
    for reward in session.scalars(select(RewardRow).where(RewardRow.campaign_id == campaign.id)):
        found[reward.label][1][reward.number] = reward.reward
    return found


def top(
    session: Session, campaign: CampaignRow, label: str, limit: int
) -> tuple[tuple[TrialRecord, float], ...]:
    """The trials of highest reward in a set, best first, the earlier finished before its equals.

    Raises UnknownLabel.
    """
    labels = _labels(session, campaign)
    if label not in labels:
        near = difflib.get_close_matches(label, labels, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(labels) or 'none'}"
        raise UnknownLabel(f"campaign {campaign.name!r}: no rewards {label!r}; {hint}")
    rows = (
        select(TrialRow, RewardRow.reward)
        .join(
            RewardRow, (RewardRow.campaign_id == TrialRow.campaign_id) & (RewardRow.number == TrialRow.number)
        )
        .where(RewardRow.campaign_id == campaign.id, RewardRow.label == label)
        .order_by(RewardRow.reward.desc(), TrialRow.finish_order)
        .limit(limit)
    )
    return tuple((row.record(), reward) for row, reward in session.execute(rows))


def _labels(session: Session, campaign: CampaignRow) -> list[str]:
    # A reader leaves a database as it finds it: one of schema 0001 has no such table.
    if not inspect(session.connection()).has_table(RewardSetRow.__tablename__):
        return []
    rows = select(RewardSetRow.label).where(RewardSetRow.campaign_id == campaign.id)
    return list(session.scalars(rows.order_by(RewardSetRow.label)))
