"""What a database itself can say about whether it is whole."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from results_db.tables import REVISIONS

GUARDS: Final = (
    "campaign_stays",
    "token_grows",
    "trial_begins",
    "trial_ended",
    "trial_stays",
    "trial_goes_on",
    "trial_ends_in_order",
    "trial_leaves_attempt",
    "attempt_begins",
    "attempt_ended",
    "attempt_stays",
    "metric_comes",
    "metric_stays",
    "campaigns_kept",
    "trials_kept",
    "attempts_kept",
    "metrics_kept",
    "campaign_begins",
    "config_stays",
)
"""The triggers that must be there (migrations/versions, 0003 and 0004); a test holds them to it."""

_TRIGGERS: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
}


def revision(session: Session) -> str:
    """The revision of the schema."""
    return str(session.scalar(text("SELECT version_num FROM alembic_version")))


def problems(session: Session) -> list[str]:
    """Damage of the file, rows that point nowhere, guards that are missing; each in one line."""
    dialect = session.get_bind().dialect.name
    found = _sqlite(session) if dialect == "sqlite" else []
    if revision(session) == REVISIONS[-1]:
        there = set(session.scalars(text(_TRIGGERS[dialect])))
        found += [f"the guard {name} is missing" for name in GUARDS if f"guard_{name}" not in there]
    return found


def _sqlite(session: Session) -> list[str]:
    whole = session.scalars(text("PRAGMA integrity_check")).all()
    loose = session.execute(text("PRAGMA foreign_key_check")).all()
    return [f"the file is damaged: {line}" for line in whole if line != "ok"] + [
        f"{table} row {row}: points to {parent}, where nothing is" for table, row, parent, _ in loose
    ]
