"""Guards for what 0003 left open: a campaign can't be replaced by one of its name, and its config stays.

What makes them is copied from 0003: a migration is history, and follows no code that may change.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


class Guard(NamedTuple):
    """What is refused: rows of campaigns, at an event, under a condition in SQL that both engines read."""

    name: str
    event: str
    condition: str
    message: str


TEXTS: Final = ("config_hash", "recipe_hash", "data_hash", "splits_hash", "code_version")
JSON: Final = ("config", "versions")
CHANGED: Final = " OR ".join(
    [f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in TEXTS]
    + [f"CAST(NEW.{column} AS TEXT) IS DISTINCT FROM CAST(OLD.{column} AS TEXT)" for column in JSON]
)

GUARDS: Final = (
    # SQLite's REPLACE deletes without asking the guards of DELETE.
    Guard(
        "campaign_begins", "INSERT",
        "EXISTS (SELECT 1 FROM campaigns WHERE id = NEW.id OR name = NEW.name)",
        "a campaign is made once",
    ),
    Guard("config_stays", "UPDATE", CHANGED, "what a campaign was made with never changes"),
)  # fmt: skip


def upgrade() -> None:
    """Set up the guards."""
    postgres = op.get_bind().dialect.name == "postgresql"
    for guard in GUARDS:
        for statement in _postgres(guard) if postgres else _sqlite(guard):
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Take them away."""
    postgres = op.get_bind().dialect.name == "postgresql"
    for guard in GUARDS:
        if postgres:
            op.execute(sa.text(f"DROP FUNCTION guard_{guard.name}() CASCADE"))
        else:
            op.execute(sa.text(f"DROP TRIGGER guard_{guard.name}"))


def _sqlite(guard: Guard) -> list[str]:
    condition = guard.condition.replace(" IS DISTINCT FROM ", " IS NOT ")  # older versions know this only
    return [
        (
            f"CREATE TRIGGER guard_{guard.name} BEFORE {guard.event} ON campaigns WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, 'SpineNAS: {guard.message}'); END"
        )
    ]


def _postgres(guard: Guard) -> list[str]:
    return [
        (
            f"CREATE FUNCTION guard_{guard.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF {guard.condition} THEN RAISE EXCEPTION '{guard.message}' USING ERRCODE = 'SN001'; END IF;"
            f" RETURN NEW; END $$"
        ),
        (
            f"CREATE TRIGGER guard_{guard.name} BEFORE {guard.event} ON campaigns"
            f" FOR EACH ROW EXECUTE FUNCTION guard_{guard.name}()"
        ),
    ]
