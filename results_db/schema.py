"""The schema of a database that was just opened: is it ours, is it of this version, must it be made."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from results_db.database import Access, Database
from results_db.errors import NewerDatabase, NotADatabase
from results_db.tables import REVISION

MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(database: Database) -> None:
    """Make the tables in an empty database opened to be created; refuse what is not ours to use.

    Raises NotADatabase, NewerDatabase.
    """
    try:
        with database.engine.begin() as connection:
            tables = inspect(connection).get_table_names()
            if not tables and database.access is Access.CREATE:
                upgrade(connection)
            elif "alembic_version" not in tables or "campaigns" not in tables:
                raise NotADatabase(f"{database.where}: a database, but not one of SpineNAS")
            else:
                found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
                if found != REVISION:
                    raise NewerDatabase(
                        f"{database.where}: its schema is {found}, this SpineNAS knows up to {REVISION};"
                        " use the version that wrote it, or a later one"
                    )
    except SQLAlchemyError as error:
        raise database.typed(error) from error


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision, within the connection's transaction."""
    from alembic import command  # takes a moment to import, and is rarely needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
