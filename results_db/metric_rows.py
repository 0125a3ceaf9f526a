"""Metrics are stored, or stored again: what is there already is replaced by equal values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from results_db.tables import MetricRow


def put(
    session: Session, at: tuple[int, int, int, int], metrics: Mapping[str, float], *, final: bool
) -> None:
    """Store the metrics of a campaign's (by id) trial, attempt and step; NULL where one is not finite."""
    if not metrics:
        return
    campaign_id, number, attempt, step = at
    key = {"campaign_id": campaign_id, "number": number, "attempt": attempt, "step": step}
    rows = [
        {**key, "name": name, "value": float(value) if math.isfinite(value) else None, "final": final}
        for name, value in metrics.items()
    ]
    statement = _insert(session)
    replaced = {"value": statement.excluded.value, "final": statement.excluded.final}
    known = [MetricRow.campaign_id, MetricRow.number, MetricRow.attempt, MetricRow.step, MetricRow.name]
    session.execute(statement.on_conflict_do_update(index_elements=known, set_=replaced), rows)


def _insert(session: Session) -> Any:
    """An insertion that can say what to do about rows that are there, in the database's way."""
    # imported here: PostgreSQL's dialect takes a moment, and the other one is mostly loaded already
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as for_postgresql

        return for_postgresql(MetricRow)
    from sqlalchemy.dialects.sqlite import insert as for_sqlite

    return for_sqlite(MetricRow)
