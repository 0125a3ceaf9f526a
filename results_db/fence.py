"""Who may drive a campaign: the token that forbids, and how a dead driver is told from a living one."""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from results_db.database import Database
from results_db.errors import CampaignBusy
from results_db.records import FenceRecord, TrialStatus
from results_db.tables import AttemptRow, CampaignRow, TrialRow, now

log = logging.getLogger(__name__)

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process, told from every other one anywhere and at any time."""

    host: str
    boot: str
    pid: int
    process_start: str

    @staticmethod
    def me() -> Holder:
        """This process."""
        start = process_start(os.getpid())
        return Holder(host=socket.gethostname(), boot=_boot(), pid=os.getpid(), process_start=start or "")


def process_start(pid: int) -> str | None:
    """When a living process started, as text to compare; None when there is none, or only its corpse.

    Linux says it in ticks since the boot, which no change of the clock moves.
    """
    try:
        if not (PROC / "self/stat").exists():
            return str(psutil.Process(pid).create_time())
        # after the name in parentheses, which may hold anything: state is field 3, start field 22
        fields = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except (OSError, psutil.Error):
        return None
    state, start = fields.split()[0], fields.split()[19]
    return None if state in "ZX" else start


def lives(pid: int, start: str | None) -> bool | None:
    """Whether the process that started then lives; None where it is another's, and hidden."""
    found = process_start(pid)
    if found is not None:
        return found == start
    try:
        os.kill(pid, 0)  # only asks
    except PermissionError:
        return None
    except (OSError, OverflowError):
        pass
    return False


def _boot() -> str:
    """The boot of this host and its process namespace: where a pid means the same process."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return f"boot {int(psutil.boot_time())}"


def claim(database: Database, campaign_id: int, me: Holder, lease_seconds: float) -> int:
    """Become the driver and return the new token; raises CampaignBusy when another one is alive.

    A holder on this host is looked up; one elsewhere, or hidden, is watched for `lease_seconds` on our clock.
    """
    watched: FenceRecord | None = None
    since = time.monotonic()
    while True:
        with database.transaction() as session:
            row = session.execute(select(CampaignRow).where(CampaignRow.id == campaign_id)).scalar_one()
            name, fence = row.name, row.fence()
        if watched is not None and watched != fence and fence.pid is not None:
            raise _busy(name, fence)
        if _is_free(name, fence, me) or (watched == fence and time.monotonic() - since >= lease_seconds):
            if _swap(database, campaign_id, fence, me):
                return fence.token + 1
            continue
        if watched is None:
            log.warning("campaign %r: watching for %.0f s whether %s lives", name, lease_seconds, _who(fence))
            watched, since = fence, time.monotonic()
        time.sleep(min(1.0, lease_seconds / 20))


def _is_free(name: str, fence: FenceRecord, me: Holder) -> bool:
    """Nobody holds it, or this very process does, or a dead one of this host; a hidden one is watched."""
    if fence.pid is None:
        return True
    if (fence.host, fence.boot) != (me.host, me.boot):
        return False
    if fence.pid == me.pid:
        return True
    alive = lives(fence.pid, fence.process_start)
    if alive:
        raise _busy(name, fence)
    return alive is False


def _swap(database: Database, campaign_id: int, seen: FenceRecord, me: Holder) -> bool:
    """Raise the token, if the fence still is as seen: of several takers one gets it."""
    with database.transaction() as session:
        swapped = session.execute(
            update(CampaignRow)
            .where(CampaignRow.id == campaign_id, CampaignRow.token == seen.token)
            .where(CampaignRow.beat.is_not_distinct_from(seen.beat))
            .values(
                token=seen.token + 1,
                host=me.host,
                boot=me.boot,
                pid=me.pid,
                process_start=me.process_start,
                beat=now(),
            )
            .returning(CampaignRow.id)
        )
        if swapped.first() is None:
            return False
        # Of what a dead driver left open, nobody knows more than that it lived until then.
        end_open_attempts(session, campaign_id, seen.beat or _latest(session, campaign_id))
        return True


def _latest(session: Session, campaign_id: int) -> datetime:
    """When something happened last: of a copy that nobody has driven, there is no sign of life."""
    of_campaign = AttemptRow.campaign_id == campaign_id
    moments = session.execute(
        select(func.max(AttemptRow.started), func.max(AttemptRow.ended)).where(of_campaign)
    )
    return max((moment for moment in moments.one() if moment is not None), default=now())


def end_open_attempts(session: Session, campaign_id: int, moment: datetime) -> None:
    """The attempts that are under way end at this moment, or as they began where that was later."""
    open_ones = (
        select(AttemptRow)
        .join(
            TrialRow,
            (TrialRow.campaign_id == AttemptRow.campaign_id) & (TrialRow.number == AttemptRow.number),
        )
        .where(AttemptRow.campaign_id == campaign_id, AttemptRow.ended.is_(None))
        .where(TrialRow.status == TrialStatus.RUNNING, TrialRow.attempt == AttemptRow.attempt)
    )
    for attempt in session.scalars(open_ones):
        attempt.ended = max(attempt.started, moment)
        attempt.seconds = (attempt.ended - attempt.started).total_seconds()


def _busy(name: str, fence: FenceRecord) -> CampaignBusy:
    return CampaignBusy(f"campaign {name!r}: is being run by {_who(fence)}; stop that one first")


def _who(fence: FenceRecord) -> str:
    return f"pid {fence.pid} on {fence.host}"
