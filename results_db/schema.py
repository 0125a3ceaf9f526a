"""The schema of a database that was just opened: is it ours, is it of this version, must it be made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from results_db.database import Access, Database
from results_db.errors import NewerDatabase, NotADatabase
from results_db.tables import REVISIONS

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"

LOCK = 0x5B1E0A5
"""Any number that other programs in a PostgreSQL database are unlikely to lock."""


def prepare(database: Database) -> None:
    """Make the tables in an empty database opened to be created, bring those of an older version up to
    date in one opened for writing, and refuse what is not ours to use.

    A reader changes nothing: it reads older schemas as they are. (That holds while revisions only add
    tables, indices and guards.) Raises NotADatabase, NewerDatabase.
    """
    try:
        with database.engine.begin() as connection:
            if database.access is not Access.READ and connection.dialect.name == "postgresql":
                # SQLite's writers wait for each other anyway; here two would make the same tables
                connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            tables = inspect(connection).get_table_names()
            if not tables and database.access is Access.CREATE:
                upgrade(connection)
            elif "alembic_version" not in tables or "campaigns" not in tables:
                raise NotADatabase(f"{database.where}: a database, but not one of SpineNAS")
            else:
                found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
                if found not in REVISIONS:
                    raise NewerDatabase(
                        f"{database.where}: its schema is {found}, this SpineNAS knows up to {REVISIONS[-1]};"
                        " use the version that wrote it, or a later one"
                    )
                if found != REVISIONS[-1] and database.access is not Access.READ:
                    upgrade(connection)
    except SQLAlchemyError as error:
        raise database.typed(error) from error


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision, within the connection's transaction."""
    from alembic import command  # takes a moment to import, and is rarely needed

    command.upgrade(migrations(connection), "head")


def migrations(connection: Connection) -> Config:
    """Alembic's config for our migrations on a connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
