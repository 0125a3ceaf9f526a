"""Campaigns from one database into another, whatever kinds they are: every row, compared afterwards."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any, Final

from sqlalchemy import String, collate, insert, inspect, select, update
from sqlalchemy.orm import Session

from results_db.database import Access, Database
from results_db.errors import CampaignExists, StorageError, UnknownCampaign
from results_db.reward_sets import RewardRow, RewardSetRow
from results_db.schema import prepare
from results_db.tables import AttemptRow, Base, CampaignRow, MetricRow, TrialRow

CONTENTS: Final[tuple[type[Base], ...]] = (TrialRow, AttemptRow, MetricRow, RewardSetRow, RewardRow)
CHUNK: Final = 1000
HOLDER: Final = ("host", "boot", "pid", "process_start", "beat")


class CopyDiffers(StorageError):
    """What arrived is not what was sent; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A campaign that was copied, and how many rows of each table it has."""

    name: str
    rows: Mapping[str, int]


def copy(source: str, target: str, names: Collection[str] = ()) -> tuple[Copied, ...]:
    """Copy these campaigns, or all, from one database URL to another; `target` is made where there is none.

    Each is read as it is at one moment, even while it is driven, and arrives whole or not at all, driven by
    nobody. Raises CampaignExists (before anything is copied), UnknownCampaign, CopyDiffers.
    """
    with _opened(source, Access.READ) as here, here.transaction() as out:
        campaigns = _chosen(here, out, names)
        with _opened(target, Access.CREATE) as there:
            _check_free(there, [row.name for row in campaigns])
            return tuple(_one(out, there, row) for row in campaigns)


@contextmanager
def _opened(url: str, access: Access) -> Iterator[Database]:
    database = Database(url, access)
    try:
        prepare(database)
        yield database
    finally:
        database.close()


def _chosen(database: Database, session: Session, names: Collection[str]) -> list[CampaignRow]:
    rows = {row.name: row for row in session.scalars(select(CampaignRow).order_by(CampaignRow.id))}
    missing = [name for name in names if name not in rows]
    if missing:
        raise UnknownCampaign(
            f"{database.where}: no campaign {missing[0]!r}; there is: {', '.join([*rows][:5]) or 'none'}"
        )
    return [row for row in rows.values() if not names or row.name in names]


def _check_free(database: Database, names: Collection[str]) -> None:
    with database.transaction() as session:
        taken = session.scalars(select(CampaignRow.name).where(CampaignRow.name.in_(names))).first()
    if taken is not None:
        raise CampaignExists(f"{database.where}: has a campaign {taken!r} already; nothing was copied")


def _one(out: Session, target: Database, row: CampaignRow) -> Copied:
    tables = [table for table in CONTENTS if inspect(out.connection()).has_table(table.__tablename__)]
    with target.transaction() as into:
        campaign = {key: value for key, value in _plain(row).items() if key not in ("id", *HOLDER)}
        # Token 0: not driven yet, so that the guards let the past in. See revision 0003.
        made = into.scalars(insert(CampaignRow).returning(CampaignRow.id), [campaign | {"token": 0}]).one()
        counts = {}
        for table in tables:
            rows = (line | {"campaign_id": made} for line in _lines(out, table, row.id))
            counts[table.__tablename__] = 0
            while chunk := list(islice(rows, CHUNK)):
                into.execute(insert(table), chunk)
                counts[table.__tablename__] += len(chunk)
        into.execute(update(CampaignRow).where(CampaignRow.id == made).values(token=row.token))
        into.flush()
        _compare(out, into, (row, made), tables)
    return Copied(row.name, counts)


def _compare(
    out: Session, into: Session, ids: tuple[CampaignRow, int], tables: Collection[type[Base]]
) -> None:
    """Read both again and compare them, row by row. Raises CopyDiffers."""
    row, made = ids
    copy = into.get_one(CampaignRow, made, populate_existing=True)
    nobody = {"id": made, **dict.fromkeys(HOLDER)}
    if _plain(copy) != _plain(row) | nobody:
        raise CopyDiffers(f"campaign {row.name!r}: differs in its copy; nothing was kept")
    for table in tables:
        with closing(_lines(out, table, row.id)) as sent, closing(_lines(into, table, made)) as arrived:
            same = all(
                one and two and one == two | {"campaign_id": row.id}
                for one, two in zip_longest(sent, arrived)
            )
        if not same:
            raise CopyDiffers(
                f"campaign {row.name!r}: {table.__tablename__} differ in their copy; nothing was kept"
            )


def _lines(session: Session, table: type[Base], campaign_id: int) -> Generator[dict[str, Any], None, None]:
    """The rows of a campaign in the order of their keys, a few at a time."""
    # By bytes everywhere: PostgreSQL sorts text as its database's language does, SQLite doesn't.
    by_bytes = session.get_bind().dialect.name == "postgresql"
    keys = [
        collate(key, "C") if by_bytes and isinstance(key.type, String) else key
        for key in table.__table__.primary_key
    ]
    rows = select(table.__table__).where(table.__table__.c.campaign_id == campaign_id).order_by(*keys)
    with session.execute(rows, execution_options={"yield_per": CHUNK}) as lines:
        for line in lines:
            yield dict(line._mapping)


def _plain(row: CampaignRow) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in CampaignRow.__table__.columns}
