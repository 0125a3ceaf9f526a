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
    nobody. What is there already, to the last row, is not copied again, so that a copy whose end was not
    learned of can be repeated. Raises CampaignExists where another campaign has the name (before anything
    is copied), UnknownCampaign, CopyDiffers.
    """
    with _opened(source, Access.READ) as here, here.transaction() as out:
        campaigns = _chosen(here, out, names)
        with _opened(target, Access.CREATE) as there:
            way = _Way(here, out, there)
            arrived = {row.name: way.arrived(row) for row in campaigns}
            return tuple(arrived[row.name] or way.go(row) for row in campaigns)


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


@dataclass(frozen=True, slots=True)
class _Way:
    """From a source, in a transaction that sees one moment of it, to a target."""

    source: Database
    out: Session
    target: Database

    def arrived(self, row: CampaignRow) -> Copied | None:
        """The copy that an earlier call has made; None where nothing is there. Raises CampaignExists."""
        with self.target.transaction() as into:
            there = into.scalar(select(CampaignRow).where(CampaignRow.name == row.name))
            if there is None:
                return None
            taken = CampaignExists(
                f"{self.target.where}: has a campaign {row.name!r} already; nothing was copied"
            )
            if self.source.where == self.target.where or there.token > row.token:
                raise taken
            # Who copies to switch takes the source each time: that is all that may have changed there.
            into.execute(update(CampaignRow).where(CampaignRow.id == there.id).values(token=row.token))
            try:
                counts = self.compare(into, row, there.id)
            except CopyDiffers as error:
                raise taken from error
            return Copied(row.name, counts)

    def go(self, row: CampaignRow) -> Copied:
        """Copy one campaign that is not there."""
        with self.target.transaction() as into:
            campaign = {key: value for key, value in _plain(row).items() if key not in ("id", *HOLDER)}
            # Token 0: not driven yet, so that the guards let the past in. See revision 0003.
            made = into.scalars(
                insert(CampaignRow).returning(CampaignRow.id), [campaign | {"token": 0}]
            ).one()
            for table in self.tables:
                rows = (line | {"campaign_id": made} for line in self.sent(table, row.id))
                while chunk := list(islice(rows, CHUNK)):
                    into.execute(insert(table), chunk)
            into.execute(update(CampaignRow).where(CampaignRow.id == made).values(token=row.token))
            into.flush()
            return Copied(row.name, self.compare(into, row, made))

    @property
    def tables(self) -> list[type[Base]]:
        """Those that a source of its age has."""
        return [table for table in CONTENTS if inspect(self.out.connection()).has_table(table.__tablename__)]

    def sent(self, table: type[Base], campaign_id: int) -> Generator[dict[str, Any], None, None]:
        """Rows of the source; what is wrong with them is said of it, wherever they are to go."""
        with self.source.translated():
            yield from _lines(self.out, table, campaign_id)

    def compare(self, into: Session, row: CampaignRow, made: int) -> dict[str, int]:
        """Read both again and compare them, row by row: how many each table has. Raises CopyDiffers."""
        copy = into.get_one(CampaignRow, made, populate_existing=True)
        nobody = {"id": made, **dict.fromkeys(HOLDER)}
        if _plain(copy) != _plain(row) | nobody:
            raise CopyDiffers(f"campaign {row.name!r}: differs in its copy; nothing was kept")
        counts = {}
        for table in self.tables:
            name, counts[table.__tablename__] = table.__tablename__, 0
            with closing(self.sent(table, row.id)) as sent, closing(_lines(into, table, made)) as arrived:
                for one, two in zip_longest(sent, arrived):
                    if one is None or two is None or one != two | {"campaign_id": row.id}:
                        raise CopyDiffers(
                            f"campaign {row.name!r}: {name} differ in their copy; nothing was kept"
                        )
                    counts[name] += 1
        return counts


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
