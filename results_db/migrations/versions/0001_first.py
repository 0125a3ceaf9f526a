"""The first schema: campaigns with their fence, trials, attempts, metrics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ENDED = "status IN ('finished', 'stopped', 'failed')"


def upgrade() -> None:
    """Make all tables."""
    _campaigns()
    _trials()
    _attempts()
    _metrics()


def downgrade() -> None:
    """Drop all tables."""
    for table in ("metrics", "attempts", "trials", "campaigns"):
        op.drop_table(table)


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _failure_kind() -> sa.Enum:
    kinds = ("out_of_memory", "diverged", "invalid", "data", "timeout", "lost_worker", "internal")
    return sa.Enum(*kinds, name="failure_kind", native_enum=False, create_constraint=True, length=20)


def _status() -> sa.Enum:
    words = ("proposed", "running", "finished", "stopped", "failed")
    return sa.Enum(*words, name="status", native_enum=False, create_constraint=True, length=20)


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("config_hash", sa.String(100), nullable=False),
        sa.Column("recipe_hash", sa.String(100), nullable=False),
        sa.Column("data_hash", sa.String(100), nullable=False),
        sa.Column("splits_hash", sa.String(100), nullable=False),
        sa.Column("code_version", sa.String(100), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("created", _time(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(255)),
        sa.Column("boot", sa.String(100)),
        sa.Column("pid", sa.Integer()),
        sa.Column("process_start", sa.String(40)),
        sa.Column("beat", _time()),
        sa.CheckConstraint("seed >= 0", "seed_from_zero"),
        sa.CheckConstraint("token >= 0", "token_from_zero"),
        sa.CheckConstraint("(host IS NULL) = (boot IS NULL)", "held_with_boot"),
        sa.CheckConstraint("(host IS NULL) = (pid IS NULL)", "held_with_pid"),
        sa.CheckConstraint("(host IS NULL) = (process_start IS NULL)", "held_with_process_start"),
        sa.CheckConstraint("(host IS NULL) = (beat IS NULL)", "held_with_beat"),
    )


def _trials() -> None:
    op.create_table(
        "trials",
        sa.Column("campaign_id", sa.Integer(), sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("status", _status(), nullable=False),
        sa.Column("genome", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(200), nullable=False, index=True),
        sa.Column("note", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("proposed", _time(), nullable=False),
        sa.Column("started", _time(), nullable=False),
        sa.Column("ended", _time()),
        sa.Column("finish_order", sa.Integer()),
        sa.Column("reward", sa.Double()),
        sa.Column("failure_kind", _failure_kind()),
        sa.Column("failure_message", sa.Text()),
        sa.UniqueConstraint("campaign_id", "finish_order"),
        sa.CheckConstraint("number >= 1", "number_from_one"),
        sa.CheckConstraint("attempt >= 1", "attempt_from_one"),
        sa.CheckConstraint("told >= 0", "told_from_zero"),
        sa.CheckConstraint("finish_order >= 1", "finish_order_from_one"),
        sa.CheckConstraint(f"({ENDED}) = (finish_order IS NOT NULL)", "ended_in_order"),
        sa.CheckConstraint(f"({ENDED}) = (ended IS NOT NULL)", "ended_at_a_time"),
        sa.CheckConstraint("(status = 'finished') = (reward IS NOT NULL)", "finished_with_reward"),
        sa.CheckConstraint("(status = 'failed') = (failure_kind IS NOT NULL)", "failed_with_kind"),
        sa.CheckConstraint("(failure_kind IS NULL) = (failure_message IS NULL)", "failed_with_message"),
        sa.CheckConstraint("reward > -1e308 AND reward < 1e308", "reward_finite"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("campaign_id", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("attempt", sa.Integer(), primary_key=True),
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("started", _time(), nullable=False),
        sa.Column("ended", _time()),
        sa.Column("seconds", sa.Double()),
        sa.Column("failure_kind", _failure_kind()),
        sa.Column("failure_message", sa.Text()),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "number"], ["trials.campaign_id", "trials.number"]),
        sa.CheckConstraint("attempt >= 1", "attempt_from_one"),
        sa.CheckConstraint("(ended IS NULL) = (seconds IS NULL)", "ended_with_seconds"),
        sa.CheckConstraint("failure_kind IS NULL OR ended IS NOT NULL", "failed_means_ended"),
        sa.CheckConstraint("(failure_kind IS NULL) = (failure_message IS NULL)", "failed_with_message"),
        sa.CheckConstraint("seconds >= 0 AND seconds < 1e308", "seconds_finite"),
    )


def _metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("campaign_id", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("attempt", sa.Integer(), primary_key=True),
        sa.Column("step", sa.BigInteger(), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("value", sa.Double()),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id", "number", "attempt"],
            ["attempts.campaign_id", "attempts.number", "attempts.attempt"],
        ),
        sa.CheckConstraint("step >= 0", "step_from_zero"),
        sa.CheckConstraint("value > -1e308 AND value < 1e308", "value_finite"),
    )
