"""The schema: models and migrations agree, stored files open, and what is not ours is refused."""

from __future__ import annotations

import math
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from results_db.errors import NewerDatabase, NoDatabase, NotADatabase, UnknownLabel
from results_db.records import Failure, TrialStatus
from results_db.schema import MIGRATIONS, migrations
from results_db.store import Store
from results_db.tables import REVISIONS, Base
from search_space.trial import FailureKind

VERSION_1 = Path(__file__).with_name("version_0001.sql")


def definitions(path: Path) -> dict[str, list[str]]:
    """What SQLite was told to make, by name, without regard to order within a table, quotes and spaces."""
    rows = sqlite3.connect(path).execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {
        name: sorted(re.sub(r"[\s\"]+", " ", part).strip(" ,()") for part in sql.split("\n"))
        for name, sql in rows
        if name != "alembic_version"
    }


def test_models_and_migrations_agree(tmp_path: Path) -> None:
    Store.create(f"sqlite:///{tmp_path}/migrated.sqlite").close()
    with create_engine(f"sqlite:///{tmp_path}/migrated.sqlite").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_models_and_migrations_agree_to_the_last_constraint(tmp_path: Path) -> None:
    # compare_metadata looks at no check constraints, so the tables' own text is compared as well
    Store.create(f"sqlite:///{tmp_path}/migrated.sqlite").close()
    engine = create_engine(f"sqlite:///{tmp_path}/modelled.sqlite")
    Base.metadata.create_all(engine)
    engine.dispose()
    assert definitions(tmp_path / "migrated.sqlite") == definitions(tmp_path / "modelled.sqlite")


def test_the_revisions_are_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    newest_first = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(newest_first)) == REVISIONS


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as version 1 left it."""
    path = tmp_path / "old.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    connection.close()
    return path


def revision(path: Path) -> str:
    ((found,),) = sqlite3.connect(path).execute("SELECT version_num FROM alembic_version")
    return str(found)


def test_a_writer_brings_a_file_of_version_1_up_to_date(old: Path, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{old}") as store:
        store.rescore("stored", "again", {"metric": "loss"}, {1: 0.5})
        ((best, reward),) = store.rescored("stored", "again", 3)
        assert (best.number, reward, best.reward) == (1, 0.5, 0.125)
    Store.create(f"sqlite:///{tmp_path}/new.sqlite").close()
    assert revision(old) == REVISIONS[-1]
    assert definitions(old) == definitions(tmp_path / "new.sqlite")


def test_a_reader_leaves_a_file_of_version_1_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with Store.read(f"sqlite:///{old}") as store:
        assert [trial.number for trial in store.top("stored", 9)] == [1, 3]
        with pytest.raises(UnknownLabel, match="no rewards 'again'; there is: none"):
            store.rescored("stored", "again", 3)
    assert old.read_bytes() == before


def test_the_way_back_to_version_1(old: Path) -> None:
    untouched = definitions(old)
    with Store.open(f"sqlite:///{old}") as store:
        store.rescore("stored", "again", {"metric": "loss"}, {1: 0.5})
        trials = store.trials("stored")
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        command.downgrade(migrations(connection), "0001")
    engine.dispose()
    assert (revision(old), definitions(old)) == ("0001", untouched)
    with Store.open(f"sqlite:///{old}") as store:
        assert store.trials("stored") == trials


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


def test_a_newer_database_is_refused(tmp_path: Path, url: str) -> None:
    Store.create(url).close()
    with sqlite3.connect(tmp_path / "campaign.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0917'")
    for access in (Store.create, Store.open, Store.read):
        with pytest.raises(NewerDatabase, match=r"its schema is 0917, this SpineNAS knows up to 0002"):
            access(url)


@pytest.mark.parametrize("access", [Store.create, Store.open, Store.read])
def test_somebody_elses_database_is_refused_and_left_alone(
    tmp_path: Path, url: str, access: Callable[[str], Store]
) -> None:
    with sqlite3.connect(tmp_path / "campaign.sqlite") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(NotADatabase, match="a database, but not one of SpineNAS"):
        access(url)
    rows = sqlite3.connect(tmp_path / "campaign.sqlite").execute("SELECT name FROM sqlite_master").fetchall()
    assert rows == [("songs",)]


@pytest.mark.parametrize("access", [Store.create, Store.open, Store.read])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, url: str, access: Callable[[str], Store]
) -> None:
    text = "just some text, long enough to be looked at\n" * 100
    (tmp_path / "campaign.sqlite").write_text(text)
    with pytest.raises(NotADatabase, match="this file is no database"):
        access(url)
    assert (tmp_path / "campaign.sqlite").read_text() == text


def test_an_empty_file_is_made_a_database_or_refused(tmp_path: Path, url: str) -> None:
    # what a driver leaves that was killed between making the file and making the tables
    (tmp_path / "campaign.sqlite").touch()
    with pytest.raises(NotADatabase):
        Store.open(url)
    Store.create(url).close()
    Store.open(url).close()


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
