"""The tables, typed; their constraints make illegal states impossible, and the guards of revision 0003
illegal steps from one to the next. Rows never leave this package.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from results_db.records import (
    AttemptRecord,
    CampaignRecord,
    Failure,
    FenceRecord,
    Json,
    MetricRecord,
    TrialRecord,
    TrialStatus,
)
from search_space.trial import FailureKind

REVISIONS: Final = ("0001", "0002", "0003", "0004")
"""The Alembic revisions from the first to the newest; a test holds them to the migrations."""

FINITE: Final = "{0} > -1e308 AND {0} < 1e308"


class Utc(TypeDecorator[datetime]):
    """A time in UTC; SQLite keeps no zone, so it is put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002, the base's signature
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class JsonObject(TypeDecorator[dict[str, Json]]):
    """A JSON object; anything else is a ValueError, of which a transaction makes NotADatabase."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Json]:  # noqa: ARG002, the base's
        if not isinstance(value, dict):
            raise ValueError(f"expected a JSON object, found {str(value)[:40]!r}")  # noqa: TRY004, see above
        return value


def words(kind: type[StrEnum], name: str) -> Enum:
    """A column of an enum's values, as text with a check constraint on every database."""
    return Enum(
        kind,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=True,
        length=20,
    )


class Base(DeclarativeBase):
    """Constraints get names that migrations can refer to."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class CampaignRow(Base):
    """One campaign, with its fence: a token that only grows, and who holds it now, if anybody does."""

    __tablename__ = "campaigns"
    __table_args__ = (
        CheckConstraint("seed >= 0", "seed_from_zero"),
        CheckConstraint("token >= 0", "token_from_zero"),
        CheckConstraint("(host IS NULL) = (boot IS NULL)", "held_with_boot"),
        CheckConstraint("(host IS NULL) = (pid IS NULL)", "held_with_pid"),
        CheckConstraint("(host IS NULL) = (process_start IS NULL)", "held_with_process_start"),
        CheckConstraint("(host IS NULL) = (beat IS NULL)", "held_with_beat"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    seed: Mapped[int] = mapped_column(BigInteger)
    config: Mapped[dict[str, Json]] = mapped_column(JsonObject)
    config_hash: Mapped[str] = mapped_column(String(100))
    recipe_hash: Mapped[str] = mapped_column(String(100))
    data_hash: Mapped[str] = mapped_column(String(100))
    splits_hash: Mapped[str] = mapped_column(String(100))
    code_version: Mapped[str] = mapped_column(String(100))
    versions: Mapped[dict[str, str]] = mapped_column(JsonObject)
    created: Mapped[datetime] = mapped_column(Utc)
    token: Mapped[int]
    host: Mapped[str | None] = mapped_column(String(255))
    boot: Mapped[str | None] = mapped_column(String(100))
    pid: Mapped[int | None]
    process_start: Mapped[str | None] = mapped_column(String(40))
    beat: Mapped[datetime | None] = mapped_column(Utc)

    def record(self) -> CampaignRecord:
        """The campaign without its fence."""
        return CampaignRecord(
            name=self.name,
            seed=self.seed,
            config=self.config,
            config_hash=self.config_hash,
            recipe_hash=self.recipe_hash,
            data_hash=self.data_hash,
            splits_hash=self.splits_hash,
            code_version=self.code_version,
            versions=self.versions,
            created=self.created,
        )

    def fence(self) -> FenceRecord:
        """Its fence."""
        return FenceRecord(
            token=self.token,
            host=self.host,
            boot=self.boot,
            pid=self.pid,
            process_start=self.process_start,
            beat=self.beat,
        )


ENDED: Final = "status IN ('finished', 'stopped', 'failed')"


class TrialRow(Base):
    """One trial in its present state."""

    __tablename__ = "trials"
    __table_args__ = (
        Index(None, "campaign_id", "status"),
        UniqueConstraint("campaign_id", "finish_order"),
        CheckConstraint("number >= 1", "number_from_one"),
        CheckConstraint("attempt >= 1", "attempt_from_one"),
        CheckConstraint("told >= 0", "told_from_zero"),
        CheckConstraint("finish_order >= 1", "finish_order_from_one"),
        CheckConstraint(f"({ENDED}) = (finish_order IS NOT NULL)", "ended_in_order"),
        CheckConstraint(f"({ENDED}) = (ended IS NOT NULL)", "ended_at_a_time"),
        CheckConstraint("(status = 'finished') = (reward IS NOT NULL)", "finished_with_reward"),
        CheckConstraint("(status = 'failed') = (failure_kind IS NOT NULL)", "failed_with_kind"),
        CheckConstraint("(failure_kind IS NULL) = (failure_message IS NULL)", "failed_with_message"),
        CheckConstraint(FINITE.format("reward"), "reward_finite"),
    )

    campaign_id: Mapped[int] = mapped_column(ForeignKey(CampaignRow.id), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    status: Mapped[TrialStatus] = mapped_column(words(TrialStatus, "status"))
    genome: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(200), index=True)
    note: Mapped[dict[str, Json]] = mapped_column(JsonObject)
    seed: Mapped[int] = mapped_column(BigInteger)
    told: Mapped[int]
    attempt: Mapped[int]
    proposed: Mapped[datetime] = mapped_column(Utc)
    started: Mapped[datetime] = mapped_column(Utc)
    ended: Mapped[datetime | None] = mapped_column(Utc)
    finish_order: Mapped[int | None]
    reward: Mapped[float | None] = mapped_column(Double)
    failure_kind: Mapped[FailureKind | None] = mapped_column(words(FailureKind, "failure_kind"))
    failure_message: Mapped[str | None] = mapped_column(Text)

    def record(self) -> TrialRecord:
        """The trial as it leaves this package."""
        return TrialRecord(
            number=self.number,
            status=self.status,
            genome=self.genome,
            fingerprint=self.fingerprint,
            note=self.note,
            seed=self.seed,
            told=self.told,
            attempt=self.attempt,
            proposed=self.proposed,
            started=self.started,
            ended=self.ended,
            finish_order=self.finish_order,
            reward=self.reward,
            failure=_failure(self.failure_kind, self.failure_message),
        )


class AttemptRow(Base):
    """One attempt at a trial."""

    __tablename__ = "attempts"
    __table_args__ = (
        ForeignKeyConstraint(["campaign_id", "number"], [TrialRow.campaign_id, TrialRow.number]),
        CheckConstraint("attempt >= 1", "attempt_from_one"),
        CheckConstraint("(ended IS NULL) = (seconds IS NULL)", "ended_with_seconds"),
        CheckConstraint("failure_kind IS NULL OR ended IS NOT NULL", "failed_means_ended"),
        CheckConstraint("(failure_kind IS NULL) = (failure_message IS NULL)", "failed_with_message"),
        CheckConstraint("seconds >= 0 AND seconds < 1e308", "seconds_finite"),
    )

    campaign_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str] = mapped_column(String(200))
    started: Mapped[datetime] = mapped_column(Utc)
    ended: Mapped[datetime | None] = mapped_column(Utc)
    seconds: Mapped[float | None] = mapped_column(Double)
    failure_kind: Mapped[FailureKind | None] = mapped_column(words(FailureKind, "failure_kind"))
    failure_message: Mapped[str | None] = mapped_column(Text)
    provenance: Mapped[dict[str, str]] = mapped_column(JsonObject)

    def record(self) -> AttemptRecord:
        """The attempt as it leaves this package."""
        return AttemptRecord(
            number=self.number,
            attempt=self.attempt,
            worker=self.worker,
            started=self.started,
            ended=self.ended,
            seconds=self.seconds,
            failure=_failure(self.failure_kind, self.failure_message),
            provenance=self.provenance,
        )


class MetricRow(Base):
    """One metric of one step of one attempt; the value is NULL where it was no finite number."""

    __tablename__ = "metrics"
    __table_args__ = (
        ForeignKeyConstraint(
            ["campaign_id", "number", "attempt"],
            [AttemptRow.campaign_id, AttemptRow.number, AttemptRow.attempt],
        ),
        CheckConstraint("step >= 0", "step_from_zero"),
        CheckConstraint(FINITE.format("value"), "value_finite"),
    )

    campaign_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[float | None] = mapped_column(Double)
    final: Mapped[bool]

    def record(self) -> MetricRecord:
        """The metric as it leaves this package."""
        return MetricRecord(
            number=self.number,
            attempt=self.attempt,
            step=self.step,
            name=self.name,
            value=math.nan if self.value is None else self.value,
            final=self.final,
        )


def now() -> datetime:
    """The time to store."""
    return datetime.now(UTC)


def _failure(kind: FailureKind | None, message: str | None) -> Failure | None:
    return None if kind is None or message is None else Failure(kind, message)
