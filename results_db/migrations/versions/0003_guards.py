"""Guards: the past of a campaign can't be changed, nor its states run backwards, by whatever hand.

A campaign whose token is 0 was never driven: into it a copy may be loaded. From its first driver on
all holds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


class Guard(NamedTuple):
    """What is refused: rows of a table, at an event, under a condition in SQL that both engines read."""

    name: str
    table: str
    event: str
    condition: str
    message: str


MINE: Final = "campaign_id = NEW.campaign_id AND number = NEW.number"
DRIVEN: Final = "(SELECT token FROM campaigns WHERE id = NEW.campaign_id) > 0"
LAST_NUMBER: Final = "(SELECT coalesce(max(number), 0) FROM trials WHERE campaign_id = NEW.campaign_id)"
LAST_ORDER: Final = "(SELECT coalesce(max(finish_order), 0) FROM trials WHERE campaign_id = NEW.campaign_id)"
UNDER_WAY: Final = (
    f"EXISTS (SELECT 1 FROM trials WHERE {MINE} AND attempt = NEW.attempt AND status = 'running')"
)


def changed(*columns: str) -> str:
    """Whether any of these columns is to become another."""
    texts = [f"CAST({{}}.{column} AS TEXT)" if column in JSON else f"{{}}.{column}" for column in columns]
    return " OR ".join(f"{text.format('NEW')} IS DISTINCT FROM {text.format('OLD')}" for text in texts)


JSON: Final = ("note", "config", "versions", "provenance")

GUARDS: Final = (
    Guard(
        "campaign_stays", "campaigns", "UPDATE", changed("id", "name", "seed", "created"),
        "the name, seed and birth of a campaign never change",
    ),
    Guard(
        "token_grows", "campaigns", "UPDATE",
        f"NEW.token < OLD.token OR (NEW.pid IS NOT NULL AND NEW.token <= OLD.token"
        f" AND ({changed('host', 'boot', 'pid', 'process_start')}))",
        "the token of a campaign only grows, and grows with every driver",
    ),
    Guard(
        "trial_begins", "trials", "INSERT",
        f"{DRIVEN} AND (NEW.status <> 'running' OR NEW.attempt <> 1 OR NEW.number <> {LAST_NUMBER} + 1)",
        "a trial begins running its first attempt, with the number after the last one",
    ),
    Guard(
        "trial_ended", "trials", "UPDATE", "OLD.finish_order IS NOT NULL",
        "a trial that has ended never changes",
    ),
    Guard(
        "trial_stays", "trials", "UPDATE",
        changed("campaign_id", "number", "genome", "fingerprint", "note", "seed", "told", "proposed"),
        "what was proposed never changes",
    ),
    Guard(
        "trial_goes_on", "trials", "UPDATE",
        "NOT (CASE NEW.attempt - OLD.attempt WHEN 1 THEN NEW.status = 'running'"
        " WHEN 0 THEN NEW.started = OLD.started AND (NEW.status = OLD.status OR OLD.status = 'running')"
        " ELSE 1 = 0 END)",
        "a trial goes from proposed or running to its next attempt, and from running to an end",
    ),
    Guard(
        "trial_ends_in_order", "trials", "UPDATE",
        f"NEW.finish_order IS NOT NULL AND NEW.finish_order <> {LAST_ORDER} + 1",
        "a trial ends with the finish order after the last one",
    ),
    Guard(
        "trial_leaves_attempt", "trials", "UPDATE",
        "OLD.status = 'running' AND NEW.status <> 'running' AND NOT EXISTS (SELECT 1 FROM attempts"
        f" WHERE {MINE} AND attempt = NEW.attempt AND ended IS NOT NULL)",
        "a trial stops running when its attempt has ended",
    ),
    Guard(
        "attempt_begins", "attempts", "INSERT",
        f"{DRIVEN} AND (NEW.ended IS NOT NULL OR NOT {UNDER_WAY}"
        f" OR EXISTS (SELECT 1 FROM attempts WHERE {MINE} AND attempt = NEW.attempt))",
        "an attempt begins once, as the one that its trial is at",
    ),
    Guard(
        "attempt_ended", "attempts", "UPDATE", f"OLD.ended IS NOT NULL OR NOT {UNDER_WAY}",
        "an attempt that has ended, or was left behind, never changes",
    ),
    Guard(
        "attempt_stays", "attempts", "UPDATE",
        changed("campaign_id", "number", "attempt", "worker", "started"),
        "who began an attempt, and when, never changes",
    ),
    Guard(
        "metric_comes", "metrics", "INSERT", f"{DRIVEN} AND NOT {UNDER_WAY}",
        "only what runs is measured",
    ),
    Guard(
        "metric_stays", "metrics", "UPDATE",
        f"OLD.final OR NOT {UNDER_WAY} OR {changed('campaign_id', 'number', 'attempt', 'step', 'name')}",
        "what was measured never changes",
    ),
    *(
        Guard(f"{table}_kept", table, "DELETE", "1 = 1", f"{table} are never deleted")
        for table in ("campaigns", "trials", "attempts", "metrics")
    ),
)  # fmt: skip


def upgrade() -> None:
    """Set up the guards, and the indices that questions about whole campaigns need."""
    op.create_index("ix_trials_campaign_id_status", "trials", ["campaign_id", "status"])
    postgres = op.get_bind().dialect.name == "postgresql"
    for guard in GUARDS:
        for statement in _postgres(guard) if postgres else _sqlite(guard):
            op.get_bind().exec_driver_sql(statement)
    if postgres:
        _forbid_truncate()


def downgrade() -> None:
    """Take them away."""
    postgres = op.get_bind().dialect.name == "postgresql"
    for guard in GUARDS:
        if postgres:
            op.execute(sa.text(f"DROP FUNCTION guard_{guard.name}() CASCADE"))
        else:
            op.execute(sa.text(f"DROP TRIGGER guard_{guard.name}"))
    if postgres:
        op.execute(sa.text("DROP FUNCTION guard_truncate() CASCADE"))
    op.drop_index("ix_trials_campaign_id_status", "trials")


def _sqlite(guard: Guard) -> list[str]:
    condition = guard.condition.replace(" IS DISTINCT FROM ", " IS NOT ")  # older versions know this only
    return [
        (
            f"CREATE TRIGGER guard_{guard.name} BEFORE {guard.event} ON {guard.table} WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, 'SpineNAS: {guard.message}'); END"
        )
    ]


def _postgres(guard: Guard) -> list[str]:
    row = "OLD" if guard.event == "DELETE" else "NEW"
    return [
        (
            f"CREATE FUNCTION guard_{guard.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF {guard.condition} THEN RAISE EXCEPTION '{guard.message}' USING ERRCODE = 'SN001'; END IF;"
            f" RETURN {row}; END $$"
        ),
        (
            f"CREATE TRIGGER guard_{guard.name} BEFORE {guard.event} ON {guard.table}"
            f" FOR EACH ROW EXECUTE FUNCTION guard_{guard.name}()"
        ),
    ]


def _forbid_truncate() -> None:
    """Only PostgreSQL has TRUNCATE, which asks no guard of rows."""
    connection = op.get_bind()
    connection.exec_driver_sql(
        "CREATE FUNCTION guard_truncate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'rows are never deleted' USING ERRCODE = 'SN001'; END $$"
    )
    for table in ("campaigns", "trials", "attempts", "metrics"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER guard_{table}_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate()"
        )
