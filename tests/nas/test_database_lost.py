"""The database goes away under a driver, for real: it goes on by itself, as if nothing had been.

Answers to COMMITs are swallowed on the line, connections ended between any two statements, servers crashed.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event

from controller.random_search import RandomSearch
from nas.campaign import Campaign
from nas.rules import CampaignRules
from nas.runners import serial
from proxy_trainer.synthetic import SyntheticConfig, SyntheticEvaluator
from results_db import writer as writer_module
from results_db.errors import DatabaseUnreachable
from results_db.records import NewCampaign
from results_db.store import Store
from results_db.writer import Writer
from search_space.catalog import space_by_name

TRIALS = 4
FULL = [pytest.mark.full, pytest.mark.timeout(900)]
SPACE = space_by_name("spinenet-49")

pytestmark = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


def _one_campaign(url: str) -> None:
    with Store.create(url) as store:
        store.add(NewCampaign(name="alpha", seed=3, config={}, config_hash="", code_version=""))


@pytest.fixture
def new_url(engine: Any, template: Callable[..., str]) -> Callable[[], str]:
    fresh = template(engine.name, "lost", _one_campaign)
    return lambda: str(engine.copy(fresh))


def drive(store: Store, writer: Writer) -> None:
    """A campaign from its beginning to its end; trials 1 and 3 fail by their genomes."""
    campaign = Campaign(writer, CampaignRules(trials=TRIALS), SPACE, RandomSearch(SPACE))
    evaluator = SyntheticEvaluator(SyntheticConfig(failures=0.4, steps=1))

    def look() -> None:
        store.values("alpha")  # as launch.run does

    serial.run(campaign, evaluator, look)


def facts(store: Store) -> list[object]:
    """All that is no time of day."""
    trials = [
        (t.number, t.seed, t.genome, t.told, t.status, t.attempt, t.finish_order, t.reward, t.failure)
        for t in store.trials("alpha")
    ]
    attempts = [
        (each.number, each.attempt, each.failure, each.ended is None) for each in store.attempts("alpha")
    ]
    return [trials, attempts, store.metrics("alpha")]


@pytest.fixture
def expected(new_url: Callable[[], str]) -> list[object]:
    """What comes out when nothing goes wrong."""
    with Store.open(new_url()) as store:
        drive(store, store.take("alpha"))
        assert {trial.status.value for trial in store.trials("alpha")} == {"finished", "failed"}
        return facts(store)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("every", [2, pytest.param(1, marks=FULL)])  # between two writes the driver looks
def test_an_answer_to_a_commit_is_swallowed(
    new_url: Callable[[], str],
    new_line: Callable[[str], Any],
    expected: list[object],
    done: bool,
    every: int,
) -> None:
    for at in itertools.count(every - 1, every):
        url = new_url()
        line = new_line(url)
        with Store.open(line.url) as store:
            writer = store.take("alpha")
            line.cut(at, done)
            drive(store, writer)
        with Store.read(url) as store:
            assert facts(store) == expected, f"COMMIT {at}"
        if line.commits <= at:
            break
    assert at > 3 * TRIALS


def strike_at(store: Store, at: int, strike: Callable[[], None]) -> Iterator[int]:
    """Strikes before the statement number `at`, and counts them."""
    counted = itertools.count()
    seen = [0]

    def before(*_: object) -> None:
        seen[0] = next(counted)
        if seen[0] == at:
            strike()

    event.listen(store._database.engine, "before_cursor_execute", before)
    yield 0
    yield seen[0]


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=FULL)])
def test_a_connection_is_ended_between_any_two_statements(
    engine: Any, new_url: Callable[[], str], expected: list[object], every: int
) -> None:
    for at in itertools.count(0, every):
        url = new_url()

        def strike(url: str = url) -> None:
            mine = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            assert engine.psql(url, f"SELECT pg_terminate_backend(pid, 5000) {mine}")

        with Store.open(url) as store:
            writer = store.take("alpha")
            struck = strike_at(store, at, strike)
            next(struck)
            drive(store, writer)
            assert facts(store) == expected, f"statement {at}"
            if next(struck) < at:
                break
    assert at > 10 * TRIALS


@pytest.mark.parametrize("every", [41, pytest.param(7, marks=FULL)])
def test_the_server_crashes_and_comes_back(
    engine: Any,
    new_url: Callable[[], str],
    expected: list[object],
    every: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for at in itertools.count(5, every):
        url = new_url()
        back = threading.Timer(0.7, engine.start)

        def strike(back: threading.Timer = back) -> None:
            engine.crash()
            back.start()

        with Store.open(url) as store:
            writer = store.take("alpha")
            struck = strike_at(store, at, strike)
            next(struck)
            drive(store, writer)
            if next(struck) < at:
                break
            back.join()
            assert facts(store) == expected, f"statement {at}"
    assert at > 5
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("asking again for 300 s" in line for line in lines)
    assert any("is back after" in line for line in lines)
    assert not any("sesame" in line for line in lines)


def test_a_server_that_stays_away_is_one_line(
    engine: Any, new_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "PATIENCE_SECONDS", 0.5)
    with Store.open(new_url()) as store:
        writer = store.take("alpha")
        engine.crash()
        with pytest.raises(
            DatabaseUnreachable, match="asked again for 0 s; nothing stored is lost"
        ) as caught:
            drive(store, writer)
        assert "\n" not in str(caught.value)
        assert "sesame" not in str(caught.value)
        writer.release()  # does its best, and nothing more
        engine.start()
        drive(store, writer)  # nothing was lost: not even this driver's right


def test_who_only_looks_does_not_wait(engine: Any, new_url: Callable[[], str]) -> None:
    with Store.read(new_url()) as store:
        engine.crash()
        with pytest.raises(DatabaseUnreachable):
            store.trials("alpha")
