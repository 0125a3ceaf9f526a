"""The schema: models and migrations agree, stored files open, and what is not ours is refused."""

from __future__ import annotations

import math
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, select

from results_db.errors import NewerDatabase, NoDatabase, NotADatabase, UnknownLabel
from results_db.records import Failure, TrialStatus
from results_db.schema import MIGRATIONS, migrations
from results_db.store import Store
from results_db.tables import REVISIONS, Base
from search_space.trial import FailureKind, Measurement

OLD = ("0001", "0002", "0003")
STORED = {revision: Path(__file__).with_name(f"version_{revision}.sql") for revision in OLD}
"""Databases as each older version left them."""

SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

ByHand = Callable[[str, str], str]


def definitions(url: str) -> dict[str, object]:
    """All that a database was told to make, by name; without guards, which models don't have."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = _of_sqlite(connection) if engine.dialect.name == "sqlite" else _of_postgres(connection)
    engine.dispose()
    return {name: made for name, made in found.items() if "alembic" not in name}


def _of_sqlite(connection: Connection) -> dict[str, object]:
    """Without regard to order within a table, quotes and spaces."""
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql <> ''"
    )
    return {
        name: sorted(re.sub(r"[\s\"]+", " ", part).strip(" ,()") for part in sql.split("\n"))
        for name, sql in rows
    }


def _of_postgres(connection: Connection) -> dict[str, object]:
    queries = (
        (
            "SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace"
        ),
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        (
            "SELECT table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default,"
            " character_maximum_length) FROM information_schema.columns WHERE table_schema = 'public'"
        ),
    )
    return {row[0]: row[1] for query in queries for row in connection.exec_driver_sql(query)}


def guards(url: str) -> dict[str, object]:
    """The text of the triggers by name."""
    engine = create_engine(url)
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        if engine.dialect.name == "sqlite"
        else "SELECT tgname || tgrelid::regclass, pg_get_triggerdef(pg_trigger.oid) || prosrc FROM pg_trigger"
        " JOIN pg_proc ON tgfoid = pg_proc.oid WHERE NOT tgisinternal"
    )
    with engine.connect() as connection:
        found = {row[0]: row[1] for row in connection.exec_driver_sql(query)}
    engine.dispose()
    return found


def test_models_and_migrations_agree(url: str) -> None:
    Store.create(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_models_and_migrations_agree_to_the_last_constraint(engine: Any) -> None:
    # compare_metadata looks at no check constraints, so what was made is compared as well
    migrated, modelled = engine.new(), engine.new()
    Store.create(migrated).close()
    made = create_engine(modelled)
    Base.metadata.create_all(made)
    made.dispose()
    found = definitions(migrated)
    assert len(found) > 5
    assert found == definitions(modelled)


def test_the_revisions_are_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    newest_first = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(newest_first)) == REVISIONS


@pytest.fixture(params=STORED)
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A database as an older version left it."""
    path = tmp_path / "old.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(STORED[request.param].read_text(encoding="utf-8"))
    connection.close()
    assert revision(path) == request.param
    return path


def revision(path: Path) -> str:
    ((found,),) = sqlite3.connect(path).execute("SELECT version_num FROM alembic_version")
    return str(found)


def test_every_older_version_is_stored() -> None:
    assert tuple(STORED) == REVISIONS[:-1]


def test_a_writer_brings_an_older_file_up_to_date(old: Path, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{old}") as store:
        store.rescore("stored", "again", {"metric": "loss"}, {1: 0.5})
        ((best, reward),) = store.rescored("stored", "again", 3)
        assert (best.number, reward, best.reward) == (1, 0.5, 0.125)
    new = f"sqlite:///{tmp_path}/new.sqlite"
    Store.create(new).close()
    assert revision(old) == REVISIONS[-1]
    assert definitions(f"sqlite:///{old}") == definitions(new)
    assert guards(f"sqlite:///{old}") == guards(new) != {}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_an_older_server_database_is_brought_up_to_date(old: Path, engine: Any) -> None:
    """The same rows, in tables as that version made them there."""
    url, new = engine.new(), engine.new()
    there, here = create_engine(url), create_engine(f"sqlite:///{old}")
    with there.begin() as server, here.connect() as file:
        command.upgrade(migrations(server), revision(old))
        made, stored = MetaData(), MetaData()
        made.reflect(server)
        stored.reflect(file)
        for table in made.sorted_tables:
            rows = [row._asdict() for row in file.execute(stored.tables[table.name].select())]
            if rows and table.name != "alembic_version":
                loading = {"token": 0} if table.name == "campaigns" else {}  # guards let a copy in only so
                server.execute(table.insert(), [_zoned(row) | loading for row in rows])
        token = file.execute(select(stored.tables["campaigns"].c.token)).scalar_one()
        server.execute(made.tables["campaigns"].update().values(token=token))
    there.dispose()
    here.dispose()

    Store.create(new).close()
    with Store.open(url) as store, Store.open(f"sqlite:///{old}") as same:
        assert store.whole("stored") == same.whole("stored")
        with store.take("stored"):
            assert store.fence("stored").token == same.fence("stored").token + 1
    assert definitions(url) == definitions(new)
    assert guards(url) == guards(new) != {}


def _zoned(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for key, value in row.items()
    }


def test_a_reader_leaves_an_older_file_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with Store.read(f"sqlite:///{old}") as store:
        assert [number for number, _, _ in store.values("stored")] in ([1, 3], [1, 4])
        with pytest.raises(UnknownLabel, match=r"no rewards 'again'; there is: (none|by loss)"):
            store.rescored("stored", "again", 3)
    assert old.read_bytes() == before


def test_the_way_back(old: Path) -> None:
    url, before = f"sqlite:///{old}", revision(old)
    untouched, guarded = definitions(url), guards(url)
    with Store.open(url) as store:
        trials = store.trials("stored")
    engine = create_engine(url)
    with engine.begin() as connection:
        command.downgrade(migrations(connection), before)
    engine.dispose()
    assert (revision(old), definitions(url), guards(url)) == (before, untouched, guarded)
    with Store.open(url) as store:
        assert store.trials("stored") == trials


@pytest.mark.parametrize("old", ["0001"], indirect=True)
def test_a_file_of_version_1_opens(old: Path) -> None:
    with Store.open(f"sqlite:///{old}") as store:
        (campaign,) = store.campaigns()
        assert (campaign.name, campaign.seed, campaign.config) == ("stored", 5, {"budget": {"trials": 6}})
        assert campaign.created.isoformat() == "2026-11-22T11:00:00+00:00"
        trials = store.trials("stored")
        assert [trial.status for trial in trials] == [
            TrialStatus.FINISHED,
            TrialStatus.FAILED,
            TrialStatus.FINISHED,
            TrialStatus.RUNNING,
            TrialStatus.PROPOSED,
        ]
        assert [trial.finish_order for trial in trials] == [1, 3, 2, None, None]
        assert trials[0].note == {"log_probability": -0.25, "parents": [1, 2]}
        assert trials[1].failure == Failure(FailureKind.DIVERGED, "loss is nan")
        assert store.rewards("stored") == (0.125, 0.1)
        assert store.fence("stored").token == 1
        loss = next(metric for metric in store.metrics("stored", 2) if metric.name == "loss")
        assert math.isnan(loss.value)
        with store.take("stored") as writer:
            assert writer.start(4, 2, "w").attempt == 2


@pytest.mark.parametrize("old", ["0002"], indirect=True)
def test_a_file_of_version_2_opens_and_goes_on(old: Path) -> None:
    with Store.open(f"sqlite:///{old}") as store:
        trials = store.trials("stored")
        assert [trial.status.value for trial in trials] == [
            "finished", "failed", "stopped", "finished", "running", "proposed",
        ]  # fmt: skip
        assert [trial.finish_order for trial in trials] == [1, 2, 3, 4, None, None]
        assert [attempt.failure for attempt in store.attempts("stored", 2)] == [
            Failure(FailureKind.LOST_WORKER, "gone"),
            Failure(FailureKind.DIVERGED, "loss is nan"),
        ]
        assert [reward for _, reward in store.rescored("stored", "by loss", 3)] == [2.0, 1.5]
        with store.take("stored") as writer:
            assert writer.start(6, 2, "w").attempt == 2
            assert writer.finish(6, 2, Measurement(step=1, metrics={"AP": 0.5}), 0.5).finish_order == 5


def test_a_newer_database_is_refused(url: str, by_hand: ByHand) -> None:
    Store.create(url).close()
    assert by_hand(url, "UPDATE alembic_version SET version_num = '0917'") == ""
    for access in (Store.create, Store.open, Store.read):
        with pytest.raises(NewerDatabase, match=r"its schema is 0917, this SpineNAS knows up to 0004"):
            access(url)


@pytest.mark.parametrize("access", [Store.create, Store.open, Store.read])
def test_somebody_elses_database_is_refused_and_left_alone(
    url: str, by_hand: ByHand, access: Callable[[str], Store]
) -> None:
    assert by_hand(url, "CREATE TABLE songs (title TEXT)") == ""
    before = definitions(url)
    with pytest.raises(NotADatabase, match="a database, but not one of SpineNAS"):
        access(url)
    assert definitions(url) == before


@SQLITE
@pytest.mark.parametrize("access", [Store.create, Store.open, Store.read])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, url: str, access: Callable[[str], Store]
) -> None:
    text = "just some text, long enough to be looked at\n" * 100
    (tmp_path / "campaign.sqlite").write_text(text)
    with pytest.raises(NotADatabase, match="this file is no database"):
        access(url)
    assert (tmp_path / "campaign.sqlite").read_text() == text


def test_an_empty_database_is_filled_or_refused(url: str, by_hand: ByHand) -> None:
    # what a driver leaves that was killed between making the file and making the tables
    assert by_hand(url, "SELECT 1") == ""
    with pytest.raises(NotADatabase):
        Store.open(url)
    Store.create(url).close()
    Store.open(url).close()


@SQLITE
@pytest.mark.parametrize("access", [Store.open, Store.read])
def test_only_create_creates(tmp_path: Path, url: str, access: Callable[[str], Store]) -> None:
    with pytest.raises(NoDatabase, match="No such file or directory"):
        access(url)
    assert list(tmp_path.iterdir()) == []


def test_paths_may_hold_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1 & Änderung"
    folder.mkdir()
    Store.create(f"sqlite:///{folder}/a b.sqlite").close()
    assert (folder / "a b.sqlite").exists()


def test_many_may_create_at_once(url: str) -> None:
    child = f"from results_db.store import Store; Store.create({url!r}).close()"
    children = [
        subprocess.Popen([sys.executable, "-c", child], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[1] for process in children] == ["", ""]
    Store.open(url).close()
