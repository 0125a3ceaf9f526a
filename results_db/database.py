"""A database at a URL: how it is opened, what a transaction is, and its errors in one line each."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from results_db import postgres
from results_db.errors import DatabaseUnreachable, DiskFull, Guarded, NoDatabase, NotADatabase, StorageError

BUSY_SECONDS: Final = 30.0
"""How long a statement waits for whoever holds what it needs."""

GUARD: Final = "SpineNAS: "
"""How the messages of the database's own guards begin."""


class Access(StrEnum):
    """What for a database is opened; the value is SQLite's word."""

    CREATE = "rwc"
    WRITE = "rw"
    READ = "ro"


class _NotJson(ValueError):
    """A value that JSON can't hold."""


class Database:
    """An engine that raises StorageError only; `where` names it in messages and holds no password.

    `patience` says for how many seconds what was asked is asked again while the database can't be reached:
    none, until somebody drives a campaign in it.
    """

    patience: float = 0.0

    def __init__(self, url: str, access: Access) -> None:
        parsed = _parse(url)
        self.where = shown(parsed)
        self.access = access
        try:
            self.engine = _engine(parsed, access)
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise NoDatabase(f"{self.where}: no such kind of database here ({_line(error)})") from error

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end, rolled back when anything is raised."""
        with self.translated(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What SQLAlchemy raises here becomes one of our errors, and is of this database."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self.typed(error) from error
        except _NotJson as error:  # SQLAlchemy wraps it for some databases only
            raise StorageError(f"{self.where}: {error}") from error
        except StorageError:
            raise
        except (LookupError, ValueError) as error:  # from SQLAlchemy's own reading of values
            raise NotADatabase(f"{self.where}: holds what no SpineNAS wrote: {_line(error)}") from error

    def typed(self, error: SQLAlchemyError) -> StorageError:
        """The error as one of ours."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if self.engine.dialect.name == "postgresql":
            return postgres.typed(self.where, error, _line(cause or error))
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the primary code, without its details
        line = _line(cause or error)
        if code == sqlite3.SQLITE_FULL:
            return DiskFull(f"{self.where}: the disk is full; make room and resume, nothing stored is lost")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return DatabaseUnreachable(f"{self.where}: another process holds it locked")
        if code == sqlite3.SQLITE_CONSTRAINT and line.startswith(GUARD):
            return Guarded(f"{self.where}: {line.removeprefix(GUARD)}")
        if code == sqlite3.SQLITE_NOTADB:
            return NotADatabase(f"{self.where}: this file is no database")
        if code == sqlite3.SQLITE_CANTOPEN:
            return NoDatabase(f"{self.where}: cannot be opened, {_why_not(self.engine.url, line)}")
        return StorageError(f"{self.where}: {line}")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # not the URL itself, it may hold a password
        raise NoDatabase(
            "database URL: cannot be read, expected like 'sqlite:///folder/file.sqlite'"
        ) from error
    if "@" in (parsed.host or ""):  # the rest of a password, perhaps: not shown
        raise NoDatabase("database URL: more than one '@'; write %40 for one in a password")
    if _is_file(parsed) and parsed.database in (None, "", ":memory:"):
        raise NoDatabase(f"{shown(parsed) or 'sqlite://'}: in memory nothing survives, expected a file")
    if _is_file(parsed) and "?" in url:
        raise NoDatabase(f"{url}: a path with '?' in it, or options, expected the plain path of a file")
    return parsed


def shown(url: URL) -> str:
    """A URL as it may be shown to anybody: a path, or an address without its password."""
    if _is_file(url):
        return str(url.database or "")
    secret = {key: "***" for key in url.query if "pass" in key or key == "options"}
    return url.update_query_dict(secret).render_as_string(hide_password=True) if secret else str(url)


def _is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL, access: Access) -> Engine:
    if not _is_file(url):
        if url.get_backend_name() == "postgresql" and url.get_driver_name() != "psycopg":  # not tested
            raise NoDatabase(f"{shown(url)}: expected postgresql+psycopg:// or sqlite:///")
        return postgres.engine(url, read_only=access is Access.READ, busy=BUSY_SECONDS, to_json=_to_json)
    engine = create_engine(
        url, creator=partial(_connect, str(url.database), access), json_serializer=_to_json
    )
    # Python's sqlite3 would begin transactions late and not at all for reads and for DDL. A writer
    # takes the write lock at once: one who reads first and writes later can be refused it.
    begin = "BEGIN" if access is Access.READ else "BEGIN IMMEDIATE"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _connect(path: str, access: Access) -> sqlite3.Connection:
    # A reader opens for writing too, else it could not recover the log of a writer that was killed;
    # query_only keeps it from changing anything.
    mode = Access.WRITE if access is Access.READ else access
    uri = f"file:{quote(str(Path(path).absolute()))}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "PRAGMA query_only = ON" if access is Access.READ else "PRAGMA journal_mode = WAL"
        ).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _to_json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False, sort_keys=True)
    except ValueError as error:
        raise _NotJson(str(error)) from error


def _line(error: BaseException) -> str:
    """The first line of an error's text."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _why_not(url: URL, line: str) -> str:
    path = Path(str(url.database))
    try:
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}"
        with path.open("rb"):
            return line
    except OSError as error:
        return str(error.strerror)
