"""What is particular to PostgreSQL: how it is connected to, and which of its errors mean what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from results_db.errors import DatabaseUnreachable, DiskFull, Guarded, StorageError

GUARD: Final = "SN001"
"""The SQLSTATE of our own guards: a class that PostgreSQL leaves to others."""

_FULL: Final = "53100"
_LOCKED: Final = ("55P03", "40001", "40P01")  # lock not available, serialization failure, deadlock
_GONE: Final = ("08", "57P", "53300", "25P03")
"""Connection errors, shutdown and crash, too many connections, idle in a transaction for too long."""


def engine(url: URL, *, read_only: bool, busy: float, to_json: Callable[[object], str]) -> Engine:
    """An engine whose transactions need nothing of how the server is set up.

    Readers see one moment for a whole transaction; writers begin by locking their campaign's row, and
    then see what is there. A statement that waits for a lock gives up after `busy` seconds, and a
    transaction whose process sleeps is ended by the server after half of that, so that a driver that was
    stopped in the middle of one is no hindrance. A server that vanished is noticed within about a minute.
    """
    settings = {
        "TimeZone": "UTC",
        "lock_timeout": f"{busy * 1000:.0f}",
        **(
            {}
            if read_only
            else {
                "idle_in_transaction_session_timeout": f"{busy * 500:.0f}",
                "synchronous_commit": "on",
            }
        ),
    }
    arguments: dict[str, Any] = {
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "application_name": "nas",
    }
    given = {name: value for name, value in arguments.items() if name not in url.query}
    # After whatever the URL has there (a search_path, say): of two settings the server takes the last.
    theirs = url.query.get("options", ())
    ours = (f"-c {name}={value}" for name, value in settings.items())
    given["options"] = " ".join([*((theirs,) if isinstance(theirs, str) else theirs), *ours])
    return create_engine(
        url,
        pool_pre_ping=True,
        json_serializer=to_json,
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        execution_options={"postgresql_readonly": read_only},
        connect_args=given,
        hide_parameters=True,
    )


def typed(where: str, error: SQLAlchemyError, line: str) -> StorageError:
    """An error as one of ours; `line` is its first one."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    if state == GUARD:
        return Guarded(f"{where}: {line}")
    if state == _FULL:
        return DiskFull(f"{where}: the disk is full; make room and resume, nothing stored is lost")
    if state in _LOCKED:
        return DatabaseUnreachable(f"{where}: another process holds it locked")
    if state.startswith(_GONE) or (isinstance(error, DBAPIError) and _is_lost(error)):
        return DatabaseUnreachable(f"{where}: {line}")
    return StorageError(f"{where}: {line}")


def _is_lost(error: DBAPIError) -> bool:
    """Errors of the connection itself have no SQLSTATE, because no server has made them."""
    operational = type(error.orig).__name__ == "OperationalError"
    return error.connection_invalidated or (operational and not getattr(error.orig, "sqlstate", None))
