"""Campaigns copied between all kinds of database: every row, nothing overwritten, and on it goes."""

from __future__ import annotations

import itertools
import math
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from results_db import copying
from results_db.copying import CopyDiffers, copy
from results_db.errors import CampaignExists, NotADatabase, UnknownCampaign
from results_db.records import Failure, Json, NewCampaign, NewTrial
from results_db.store import Store
from results_db.tables import MetricRow
from search_space.trial import FailureKind, Measurement, Progress

VERSION_1 = Path(__file__).with_name("version_0001.sql")

Kinds = Callable[[str], str]


@pytest.fixture
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Kinds:
    """A new database of a kind."""

    numbers = itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{next(numbers)}.sqlite"
        url: str = request.getfixturevalue("postgres").new()
        return url

    return make


def fill(url: str) -> None:
    """Two campaigns with everything that a campaign can hold."""
    with Store.create(url) as store:
        for name in ("alpha", "beta"):
            note: dict[str, Json] = {"words": ["ä", 1, 0.1, None, {"deep": True}]}
            store.add(
                NewCampaign(name=name, seed=2**62, config=dict(note), config_hash="c", code_version="0.1")
            )
            writer = store.take(name)
            for number in range(1, 6):
                writer.reserve(
                    NewTrial(
                        number=number, genome=f"{name} {number} ✓", fingerprint="f", note=note, seed=9, told=0
                    ),
                    "w",
                )
                writer.observe(number, 1, Progress(step=1, metrics={"AP": 0.1 + 0.2, "loss": math.nan}))
            writer.finish(3, 1, Measurement(step=5, metrics={"AP": 1e-310, "flops": 1e300}), 5e-324)
            writer.give_back(2, 1, Failure(FailureKind.LOST_WORKER, "gone\0\nand \udc80 away"))
            writer.start(2, 2, "w2")
            writer.fail(2, 2, Failure(FailureKind.DIVERGED, "ä" * 300))
            writer.stop(1, 1, {"host": "h"})
            writer.give_back(4, 1, Failure(FailureKind.TIMEOUT, "slow"))
            store.rescore(name, "again", {"metric": "AP"}, {3: 0.25})


def everything(store: Store, name: str) -> list[object]:
    metrics = [repr(metric) for metric in store.metrics(name)]  # where NaN is equal to itself
    found = [store.campaign(name), store.trials(name), store.attempts(name), metrics]
    return [*found, store.rescored(name, "again", 9), store.fence(name).token]


@pytest.mark.parametrize(
    ("source", "target"),
    [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite"), ("postgresql", "postgresql")],
)
def test_every_row_arrives_and_the_campaign_goes_on(new: Kinds, source: str, target: str) -> None:
    here, there = new(source), new(target)
    fill(here)
    with Store.create(there) as other:  # so that ids differ
        other.add(NewCampaign(name="first", seed=1, config={}, config_hash="", code_version=""))
    done = copy(here, there)
    assert [each.name for each in done] == ["alpha", "beta"]
    assert done[0].rows == {"trials": 5, "attempts": 6, "metrics": 12, "reward_sets": 1, "rewards": 1}
    with Store.open(here) as one, Store.open(there) as two:
        for name in ("alpha", "beta"):
            assert everything(two, name) == everything(one, name)
            assert two.fence(name).pid is None
        writer = two.take("beta", lease_seconds=0.1)
        writer.start(5, 2, "w")
        assert writer.finish(5, 2, Measurement(step=1, metrics={"AP": 0.5}), 0.5).finish_order == 4
        # the ids go on too
        two.add(NewCampaign(name="later", seed=1, config={}, config_hash="", code_version=""))
        assert [campaign.name for campaign in two.campaigns()] == ["first", "alpha", "beta", "later"]
        assert one.counts("beta") != two.counts("beta")


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_only_some_and_never_over_another(new: Kinds, target: str) -> None:
    here, there = new("sqlite"), new(target)
    fill(here)
    copy(here, there, ["beta"])
    with Store.read(there) as store:
        assert [campaign.name for campaign in store.campaigns()] == ["beta"]
        before = everything(store, "beta")
    with Store.open(here) as store:
        store.rescore("beta", "cheaper", {"metric": "flops"}, {3: 0.25})
    with pytest.raises(CampaignExists, match="has a campaign 'beta' already; nothing was copied"):
        copy(here, there)
    with pytest.raises(CampaignExists):
        copy(here, here, ["alpha"])
    with pytest.raises(UnknownCampaign, match="no campaign 'gamma'; there is: alpha, beta"):
        copy(here, there, ["gamma"])
    with Store.read(there) as store:
        assert [campaign.name for campaign in store.campaigns()] == ["beta"]
        assert everything(store, "beta") == before


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_what_is_wrong_with_the_source_is_said_of_it(new: Kinds, target: str, tmp_path: Path) -> None:
    here, there = new("sqlite"), new(target)
    fill(here)
    with closing(sqlite3.connect(here.removeprefix("sqlite:///"))) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE trials SET note = '{' WHERE number = 4")
    with pytest.raises(NotADatabase, match=re.escape(f"{tmp_path}/0.sqlite: holds what no SpineNAS wrote")):
        copy(here, there)


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_copy_whose_end_was_not_learned_of_is_repeated(new: Kinds, target: str) -> None:
    """As `nas db copy --switch` does: each time it takes the source, so that nobody drives it meanwhile."""
    here, there = new("sqlite"), new(target)
    fill(here)
    with Store.open(here) as store:
        store.take("beta").release()
    done = copy(here, there)
    with Store.open(here) as store:
        store.take("beta").release()
        token = store.fence("beta").token
    assert copy(here, there) == done
    with Store.open(there) as store:
        assert store.fence("beta").token == token
        assert [campaign.name for campaign in store.campaigns()] == ["alpha", "beta"]
        store.take("beta").release()
        store.take("beta").release()
    with pytest.raises(CampaignExists, match="'beta' already"):  # driven there since
        copy(here, there)


def test_an_old_database_is_copied_as_it_is(new: Kinds, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.sqlite")
    connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    connection.close()
    there = new("postgresql")
    (done,) = copy(f"sqlite:///{tmp_path}/old.sqlite", there)
    assert done.rows == {"trials": 5, "attempts": 6, "metrics": 5}
    with Store.read(there) as store:
        assert store.rewards("stored") == (0.125, 0.1)


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_a_campaign_that_is_driven_is_copied_as_it_was_at_one_moment(
    new: Kinds, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = new(source), new("sqlite")
    fill(here)
    with Store.open(here) as store:
        writer = store.take("alpha")
        writer.start(5, 2, "")
        lines = copying._lines

        def meanwhile(*words: Any) -> Any:
            if words[1].__tablename__ == "attempts" and store.trial("alpha", 5).finish_order is None:
                writer.finish(5, 2, Measurement(step=9, metrics={"AP": 0.5}), 0.5)
            return lines(*words)

        monkeypatch.setattr(copying, "_lines", meanwhile)
        copy(here, there, ["alpha"])
        assert store.trial("alpha", 5).reward == 0.5
    with Store.read(there) as copied:
        assert copied.trial("alpha", 5).reward is None
        assert copied.attempts("alpha", 5)[1].ended is None
        assert copied.fence("alpha").pid is None
        latest = max(each.ended or each.started for each in copied.attempts("alpha"))
    with Store.open(there) as store, store.take("alpha"):
        assert store.attempts("alpha", 5)[1].ended == latest, "of a copy nobody gave a sign of life"


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_server_that_sorts_as_people_do_is_asked_for_bytes(new: Kinds, way: str) -> None:
    """Many servers sort AP_large before AP50, SQLite doesn't; the tests' own build knows no such language."""
    here, there = (
        new(kind) for kind in (("sqlite", "postgresql") if way == "there" else ("postgresql", "sqlite"))
    )
    fill(here)
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        del cursor, rest
        if connection.dialect.name == "postgresql" and "ORDER BY metrics" in statement:
            asked.append(statement.partition("ORDER BY")[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        copy(here, there, ["alpha"])
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert asked
    assert all('metrics.name COLLATE "C"' in each for each in asked)


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_what_arrives_otherwise_is_not_kept(new: Kinds, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = new("sqlite"), new(target)
    fill(here)
    compare = copying._Way.compare

    def tampered(way: Any, into: Any, *words: Any) -> Any:
        into.execute(update(MetricRow).where(MetricRow.number == 4).values(value=0.7))
        return compare(way, into, *words)

    monkeypatch.setattr(copying._Way, "compare", tampered)
    _unguarded(there)
    with pytest.raises(CopyDiffers, match="campaign 'alpha': metrics differ in their copy; nothing was kept"):
        copy(here, there, ["alpha"])
    with Store.read(there) as store:
        assert store.campaigns() == ()


def _unguarded(url: str) -> None:
    """Take away what would keep a hand from tampering."""
    with Store.create(url) as store:
        drop = (
            "DROP TRIGGER guard_metric_stays"
            if url.startswith("sqlite")
            else "DROP FUNCTION guard_metric_stays() CASCADE"
        )
        with store._database.engine.begin() as connection:
            connection.exec_driver_sql(drop)
